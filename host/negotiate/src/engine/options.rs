use haggle_model::Span;
use serde::{Deserialize, Serialize};

/// Options of an [`Engine`](crate::Engine).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// The retry schedule of questions.
    pub retry: Retry,
    /// The number of ended sessions that the engine remembers, to distinguish late messages from stray
    /// ones.
    pub remembered: usize,
    /// Whether the engine keeps a transcript of each session until the session ends.
    pub transcripts: bool,
}

/// The retry schedule of a question. The pause doubles after each attempt. Attempts continue while the
/// question has time left: its share of the time until the deadline of its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// The pause before the first retry.
    pub first: Span,
    /// The maximum pause between two attempts.
    pub longest: Span,
    /// The maximum number of attempts to notify a party of the end of a session if it does not acknowledge;
    /// at least one attempt is made.
    pub attempts: u32,
}

impl Retry {
    /// The time to wait for an answer to this attempt; the first attempt is 1.
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
