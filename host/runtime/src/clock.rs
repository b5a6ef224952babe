use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use haggle_model::{Span, Timestamp};

/// A clock. The host reads no other one, so that the same code runs live, accelerated and in tests.
pub trait Clock: Send + Sync {
    /// Returns the current time.
    fn now(&self) -> Timestamp;

    /// Whether the clock advances while the host works. If it does not, the duration of work has no effect on
    /// decisions.
    fn is_real(&self) -> bool {
        false
    }
}

/// The system clock. It may jump; the core follows it in both directions.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn is_real(&self) -> bool {
        true
    }
}

/// A clock that advances only when set, and never goes back.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// Creates a clock at `now`.
    #[must_use]
    pub const fn new(now: Timestamp) -> Self {
        Self(AtomicU64::new(now.as_millis()))
    }

    /// Sets the clock to `now`, unless it is already later.
    pub fn set(&self, now: Timestamp) {
        self.0.fetch_max(now.as_millis(), Ordering::SeqCst);
    }

    /// Advances the clock.
    pub fn advance(&self, by: Span) {
        self.set(self.now() + by);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}
