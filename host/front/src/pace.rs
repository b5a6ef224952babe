use std::time::Duration;

use tokio::time::Instant;

use crate::Pace;

/// Long enough to mean "never", short enough for the clock.
const NEVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Measures a peer against a pace.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    pace: Pace,
    /// How far the peer was behind the pace before the current wait.
    behind: Duration,
    /// When the current wait began.
    since: Option<Instant>,
}

impl Stopwatch {
    pub(crate) const fn new(pace: Pace) -> Self {
        Self { pace, behind: Duration::ZERO, since: None }
    }

    /// Starts a wait for the peer, unless one has started already.
    pub(crate) fn wait(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// Records that the peer has moved this many bytes, and ends the wait.
    pub(crate) fn advance(&mut self, bytes: usize, now: Instant) {
        if let Some(since) = self.since.take() {
            self.behind = self.behind.saturating_add(now.saturating_duration_since(since));
        }
        let rate = self.pace.bytes_per_second.max(1);
        // Multiply first, because most pieces are worth less than a second.
        let nanos = (bytes as u128 * 1_000_000_000) / u128::from(rate);
        let earned = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.behind = self.behind.saturating_sub(earned);
    }

    /// Resets for the next response.
    pub(crate) fn restart(&mut self) {
        *self = Self::new(self.pace);
    }

    /// Returns when the current wait, if any, exceeds the limit.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let left = self.pace.patience.saturating_sub(self.behind);
        self.since.map(|since| later(since, left))
    }
}

/// Adds a duration to a time, limited to about a year.
pub(crate) fn later(from: Instant, by: Duration) -> Instant {
    from + by.min(NEVER)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Stopwatch;
    use crate::Pace;

    const PACE: Pace = Pace { patience: Duration::from_secs(60), bytes_per_second: 100 };

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn a_trickle_ends_after_the_patience_and_a_steady_sender_does_not() {
        let begun = Instant::now();
        for (bytes, survives) in
            [(1, false), (100, false), (800, false), (1000, true), (5000, true)]
        {
            let mut watch = Stopwatch::new(PACE);
            let mut now = begun;
            let alive = (0..1000).all(|_| {
                watch.wait(now);
                now += seconds(10);
                let in_time = watch.deadline().is_some_and(|deadline| now <= deadline);
                watch.advance(bytes, now);
                in_time
            });
            assert_eq!(alive, survives, "{bytes} bytes each 10 s");
            assert!(alive || now <= begun + seconds(700), "{bytes} bytes held on for too long");
        }
    }

    #[test]
    fn time_counts_only_while_the_peer_is_waited_for() {
        let begun = Instant::now();
        let mut watch = Stopwatch::new(PACE);
        assert_eq!(watch.deadline(), None);
        watch.wait(begun);
        watch.wait(begun + seconds(5));
        assert_eq!(watch.deadline(), Some(begun + seconds(60)));
        watch.advance(0, begun + seconds(10));
        assert_eq!(watch.deadline(), None);
        watch.wait(begun + seconds(1000));
        assert_eq!(watch.deadline(), Some(begun + seconds(1050)));
        watch.restart();
        watch.wait(begun);
        assert_eq!(watch.deadline(), Some(begun + seconds(60)));
    }

    #[test]
    fn being_ahead_does_not_add_up() {
        let begun = Instant::now();
        let mut watch = Stopwatch::new(PACE);
        watch.advance(1_000_000, begun);
        watch.wait(begun);
        assert_eq!(watch.deadline(), Some(begun + seconds(60)));
        // 20 s behind; 500 bytes are worth 5 s, and 50 bytes half a second.
        watch.advance(500, begun + seconds(20));
        watch.advance(50, begun + seconds(20));
        watch.wait(begun + seconds(20));
        assert_eq!(watch.deadline(), Some(begun + seconds(65) + seconds(1) / 2));
    }

    #[test]
    fn extremes_do_not_overflow() {
        let now = Instant::now();
        let mut watch = Stopwatch::new(Pace { patience: Duration::MAX, bytes_per_second: 0 });
        watch.advance(usize::MAX, now);
        watch.advance(usize::MAX, now);
        watch.wait(now);
        assert!(watch.deadline().is_some_and(|deadline| deadline > now));
    }
}
