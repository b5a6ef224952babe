use haggle_model::Span;
use serde::{Deserialize, Serialize};

/// How an [`Engine`](crate::Engine) works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// How questions are repeated.
    pub retry: Retry,
    /// How many ended sessions are remembered, to tell a late message from a stray one.
    pub remembered: usize,
    /// Whether everything that is said is kept until the session ends.
    pub transcripts: bool,
}

/// A question without an answer is asked again, each time after twice the time, as long as there is time for
/// it: its share of what is left until the deadline of its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// The time before the first repetition.
    pub first: Span,
    /// The longest time between two.
    pub longest: Span,
    /// How often the end of a session is told whoever does not acknowledge it, in all; at least once.
    pub attempts: u32,
}

impl Retry {
    /// How long the answer to this attempt, from 1, is waited for.
    #[must_use]
    pub fn wait(&self, attempt: u32) -> Span {
        let doublings = attempt.saturating_sub(1).min(32);
        let wait = self.first.as_millis().saturating_mul(1 << doublings);
        Span::from_millis(wait.min(self.longest.as_millis()).max(1))
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self { first: Span::from_millis(250), longest: Span::from_secs(4), attempts: 6 }
    }
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { retry: Retry::default(), remembered: 10_000, transcripts: true }
    }
}

#[cfg(test)]
mod tests {
    use super::Retry;

    #[test]
    fn waits_twice_as_long_each_time() {
        let waits: Vec<u64> = (1..8).map(|n| Retry::default().wait(n).as_millis()).collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 4000, 4000]);
        assert_eq!(Retry::default().wait(u32::MAX).as_millis(), 4000);
    }
}
