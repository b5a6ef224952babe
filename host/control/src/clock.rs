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
        for name in &names {
            if let Some(state) = self.state.service_mut(name) {
                state.forget_after(self.now);
            }
        }
        let message = format!("the clock went back by {back}");
        self.publish(EventKind::Alert, "host", message, serde_json::json!({ "back": back }));
    }
}
