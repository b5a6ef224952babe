//! The clock may jump. A jump ahead ends what is over by then. A jump back leaves the state where it would be
//! had the future not been seen, as far as that is still possible.

use haggle_model::{Name, Span};

use crate::{EventKind, step::Step};

/// Steps may come a little out of order.
const TOLERANCE: Span = Span::from_secs(2);

impl Step<'_> {
    /// Follows the clock. Where it went back, negotiations end, because their deadlines lie too far ahead, and
    /// what was noted for the time between is dropped.
    pub(crate) fn follow_clock(&mut self) {
        let before = self.state.now;
        self.state.now = self.now;
        if self.now + TOLERANCE >= before {
            // Time does not run backwards for anybody.
            self.now = self.now.max(before);
            self.state.now = self.now;
            return;
        }
        let back = before.since(self.now);
        self.state.ledger.rewind(self.now);
        let open: Vec<String> = self.state.sessions.keys().cloned().collect();
        for id in open {
            let why = format!("the host's clock went back by {back}: negotiate again");
            let cancelled = self.with_engine(|engine, setting| engine.cancel(&id, why, setting));
            self.carry_out(cancelled.unwrap_or_default());
        }
        let names: Vec<Name> = self.state.services.keys().cloned().collect();
        let now = self.now;
        for name in names {
            let Some(state) = self.state.service_mut(&name) else { continue };
            state.recent.forget_after(now);
            state.refusal = None;
            state.tier_since = state.tier_since.min(now);
            state.alarm.raised = state.alarm.raised.map(|at| at.min(now));
            state.alarm.calm_since = state.alarm.calm_since.map(|at| at.min(now));
            if state.observed.is_some_and(|(at, _)| at > now) {
                state.observed = None;
            }
            if state.forecast.as_ref().is_some_and(|forecast| forecast.at > now) {
                state.forecast = None;
            }
            for later in &mut state.scheduled {
                later.again = later.again.min(now);
            }
        }
        let message = format!("the clock went back by {back}");
        self.publish(EventKind::Alert, "host", message, serde_json::json!({ "back": back }));
    }
}
