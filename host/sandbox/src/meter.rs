//! The host's side of the meter: a call's fuel and time.

use std::time::{Duration, Instant};

use haggle_metering::START;

/// The budget of one call.
#[derive(Debug)]
pub(crate) struct Meter {
    fuel: u64,
    spent: u64,
    started: Instant,
    deadline: Instant,
    pace: Pace,
    /// The time for which a loop that calls nothing may run at that pace.
    stretch: Duration,
}

/// Counted instructions per microsecond.
pub(crate) type Pace = u64;

/// An upper bound of a processor's speed. The count can exceed it if the iterations of a loop skip most of
/// their instructions.
pub(crate) const FASTEST: Pace = 32_000;

/// The typical pace of such loops. If time is short, a guest that stalls in one is stopped soon after its
/// deadline, and a faster guest may be called twice.
pub(crate) const USUAL: Pace = 8_000;

/// The stretch of a first attempt. A busy machine may run a guest at a small fraction of the fastest pace, and
/// a loop that may count until the deadline at that pace would then run for many times as long. The first
/// attempt therefore stops after this much, which few loops count without a call, and shows the actual pace.
const FIRST_STRETCH: Duration = Duration::from_millis(250);

/// The reason why a guest was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stopped {
    #[error("used up its fuel")]
    Fuel,
    #[error("passed its deadline")]
    Deadline,
    /// It was stopped before its deadline, in a loop that calls nothing, because it counted more than allowed:
    /// at this pace.
    #[error("counted more than a loop without calls may count")]
    Early(Pace),
}

impl Meter {
    pub(crate) fn new(fuel: u64, time: Duration) -> Self {
        let now = Instant::now();
        // If the clock cannot represent the deadline, use a distant one.
        let deadline = now.checked_add(time).unwrap_or_else(|| now + Duration::from_secs(1 << 30));
        Self { fuel, spent: 0, started: now, deadline, pace: FASTEST, stretch: FIRST_STRETCH }
    }

    /// Sets the expected pace of loops that call nothing, for a first attempt.
    pub(crate) const fn expect(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// Lets loops that call nothing count at a known pace until the deadline.
    pub(crate) const fn allow(&mut self, pace: Pace) {
        (self.pace, self.stretch) = (pace, Duration::MAX);
    }

    /// Returns the fuel spent, as last reported.
    pub(crate) const fn spent(&self) -> u64 {
        self.spent
    }

    /// Takes the guest's count and returns how much it may count until the next report: the remaining fuel,
    /// but no more than is expected within the stretch, or until the deadline if that is earlier.
    pub(crate) fn show(&mut self, count: i64, now: Instant) -> Result<i64, Stopped> {
        let stops = count < 0;
        let count = if stops { !count } else { count };
        let counted = if count >= START { count - START } else { count };
        self.spent = self.spent.saturating_add(u64::try_from(counted).unwrap_or(0));
        let left = self.fuel.checked_sub(self.spent).ok_or(Stopped::Fuel)?;
        let time = self.deadline.saturating_duration_since(now);
        if time.is_zero() {
            return Err(Stopped::Deadline);
        }
        if stops {
            let taken = now.duration_since(self.started).as_nanos().max(1);
            let pace = u128::from(self.spent) * 1000 / taken;
            return Err(Stopped::Early(u64::try_from(pace).unwrap_or(u64::MAX).max(1)));
        }
        let nanoseconds = time.min(self.stretch).as_nanos();
        let expected = nanoseconds.saturating_mul(u128::from(self.pace)).div_ceil(1000);
        let limit = u128::from(left).min(expected);
        Ok(i64::try_from(limit).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Meter, Stopped};

    #[test]
    fn a_guest_that_passed_its_limit_is_told_why() {
        let hour = Duration::from_secs(3600);
        let mut meter = Meter::new(100, hour);
        let start = meter.started;
        assert_eq!(meter.show(40, start), Ok(60));
        assert_eq!(meter.show(!50, start + hour), Err(Stopped::Deadline));
        assert_eq!(meter.spent(), 90);
        assert_eq!(meter.show(!11, start), Err(Stopped::Fuel));
    }

    #[test]
    fn a_loop_without_calls_may_count_until_the_deadline_as_fast_as_is_allowed() {
        let mut meter = Meter::new(u64::MAX, Duration::from_nanos(1000));
        let start = meter.started;
        assert_eq!(meter.show(0, start), Ok(32 * 1000));
        // The guest counted this much in a tenth of the time.
        let stopped = meter.show(!(32 * 1000), start + Duration::from_nanos(100));
        assert_eq!(stopped, Err(Stopped::Early(320_000)));
        let mut again = Meter::new(u64::MAX, Duration::from_nanos(1000));
        again.allow(2 * 320_000);
        assert_eq!(again.show(0, again.started), Ok(640 * 1000));
    }

    #[test]
    fn a_slow_machine_delays_the_end_of_a_loop_by_twice_the_time_at_most() {
        let time = Duration::from_secs(60);
        let mut meter = Meter::new(u64::MAX, time);
        let start = meter.started;
        let first = meter.show(0, start).unwrap();
        assert_eq!(first, 250_000 * 32_000);
        // It counts one instruction in two nanoseconds.
        let taken = Duration::from_nanos(2 * u64::try_from(first).unwrap());
        assert_eq!(meter.show(!first, start + taken), Err(Stopped::Early(500)));
        let mut again = Meter::new(u64::MAX, time - taken);
        again.allow(2 * 500);
        let limit = again.show(0, again.started).unwrap();
        let ends = taken + Duration::from_nanos(2 * u64::try_from(limit).unwrap());
        assert!(ends <= 2 * time, "{ends:?}");
    }
}
