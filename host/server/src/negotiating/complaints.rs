//! What parties say that makes no sense is told, but whoever says a lot of it does not flood anybody.

use haggle_model::{Span, Timestamp};
use haggle_negotiate::Party;
use serde_json::json;

use crate::{
    events::EventKind,
    host::{Host, lock},
};

/// How many were told lately, and how many were not.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    since: Timestamp,
    told: u32,
    untold: u64,
}

/// So many are told in a minute; the next one after that says how many were not.
const MOST_TOLD: u32 = 60;
const MINUTE: Span = Span::from_mins(1);

/// The longest text that is told; the transcript has it in full.
const MOST_CHARS: usize = 300;

impl Complaints {
    /// How many were not told since the last one that was; none where this one is not to be told either.
    fn next(&mut self, now: Timestamp) -> Option<u64> {
        if now.since(self.since) >= MINUTE {
            (self.since, self.told) = (now, 0);
        }
        if self.told >= MOST_TOLD {
            self.untold = self.untold.saturating_add(1);
            return None;
        }
        self.told += 1;
        Some(std::mem::take(&mut self.untold))
    }
}

impl Host {
    /// Tells that somebody said what makes no sense; it changed nothing, or counted as a refusal.
    pub(crate) fn complain(&self, session: &str, from: &Party, text: &str) {
        let Some(untold) = lock(&self.complaints).next(self.clock.now()) else { return };
        let short = |text: &str| text.chars().take(MOST_CHARS).collect::<String>();
        let subject = match from {
            Party::Service(name) | Party::Provider(name) => name.to_string(),
            Party::Session | Party::Ledger => from.to_string(),
        };
        let detail =
            json!({ "negotiation": short(session), "from": from, "untold_before": untold });
        self.emit(EventKind::Fault, &subject, short(text), detail);
    }
}

#[cfg(test)]
mod tests {
    use super::{Complaints, MOST_TOLD, Timestamp};

    #[test]
    fn a_flood_is_counted_and_not_told() {
        let mut complaints = Complaints::default();
        let mut told = |at: u64| complaints.next(Timestamp::from_millis(at));
        let heard = (0..1000).filter(|n| told(100_000 + n).is_some()).count();
        assert_eq!(heard, MOST_TOLD as usize);
        assert_eq!(told(159_999), None);
        assert_eq!(told(160_000), Some(1001 - u64::from(MOST_TOLD)));
        assert_eq!(told(160_001), Some(0));
    }
}
