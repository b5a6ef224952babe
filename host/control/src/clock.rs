//! Handles clock jumps. A jump forward ends everything that is over by then. A jump back restores, as far
//! as still possible, the state that would exist if the core had not seen the future.

use haggle_model::{Name, Span};

use crate::{EventKind, step::Step};

/// Steps may arrive slightly out of order.
const TOLERANCE: Span = Span::from_secs(2);

impl Step<'_> {
    /// Follows the clock. If the clock went back, open negotiations end, because their deadlines lie too
    /// far ahead, and everything noted for the time in between is dropped.
    pub(crate) fn follow_clock(&mut self) {
        let before = self.state.now;
        self.state.now = self.now;
        if self.now + TOLERANCE >= before {
            // Small steps back are ignored: time never decreases for the state.
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
