//! Recovers the sessions that were open when the host stopped.

use std::sync::Arc;

use super::{
    Effect, Ending, Engine, Id, Persist, SessionRecord, Setting,
    running::{Running, Step},
};
use crate::{Outcome, Reason, Transcript};

impl Engine {
    /// Call this after a restart, on a ledger restored from the leases on disk. It ends every session that
    /// was open. An agreed session keeps its agreement, and the engine notifies all parties again. Every
    /// other session fails, and the holds of its parties time out.
    pub fn recover(
        &mut self,
        records: impl IntoIterator<Item = SessionRecord>,
        setting: &mut Setting<'_>,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        for record in records {
            let id = record.session.clone();
            if let Some(agreed) = record.agreed.clone() {
                let retry = self.options.retry;
                let mut step = Step { setting, retry, effects: &mut effects };
                let running = Running::resume(record, &agreed, &mut step);
                self.sessions.insert(Id::from(&id), Arc::new(running));
                effects.extend(self.with(&id, setting, |_, _| {}));
                continue;
            }
            let text = "the host stopped in the middle of it: negotiate again".to_owned();
            let reasons = vec![Reason { participant: record.requester, text }];
            let outcome = Outcome::Failed { reasons, rounds: 0 };
            effects.push(Effect::Persist(Persist {
                session: id.clone(),
                record: None,
                leases: Vec::new(),
                awaited: false,
            }));
            self.remember(Id::from(&id));
            effects.push(Effect::Finished(Ending {
                session: id,
                outcome,
                changes: Vec::new(),
                transcript: Transcript::default(),
            }));
        }
        effects
    }
}
