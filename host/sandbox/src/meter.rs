//! The host's side of the meter: what a call may spend, and how long it may take.

use std::time::{Duration, Instant};

use wasmtime::component::Linker;

use crate::{
    metering::{METER, SHOW, START},
    state::State,
};

/// The budget of one call.
#[derive(Debug)]
pub(crate) struct Meter {
    fuel: u64,
    spent: u64,
    deadline: Instant,
}

/// Why a guest was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stopped {
    #[error("used up its fuel")]
    Fuel,
    #[error("passed its deadline")]
    Deadline,
}

/// More instructions than any processor executes in a nanosecond.
const MOST_PER_NANOSECOND: u64 = 10;

impl Meter {
    pub(crate) fn new(fuel: u64, time: Duration) -> Self {
        let now = Instant::now();
        // A deadline that the clock cannot hold is as far as it goes.
        let deadline = now.checked_add(time).unwrap_or_else(|| now + Duration::from_secs(1 << 30));
        Self { fuel, spent: 0, deadline }
    }

    /// The fuel spent, as far as it was shown.
    pub(crate) const fn spent(&self) -> u64 {
        self.spent
    }

    /// Takes in what was counted and says how much more can be without a look at the clock: what is left,
    /// and no more than can be executed until the deadline.
    fn show(&mut self, count: i64, now: Instant) -> Result<i64, Stopped> {
        let stops = count < 0;
        let count = if stops { !count } else { count };
        let counted = if count >= START { count - START } else { count };
        self.spent = self.spent.saturating_add(u64::try_from(counted).unwrap_or(0));
        let left = self.fuel.checked_sub(self.spent).ok_or(Stopped::Fuel)?;
        let time = self.deadline.saturating_duration_since(now);
        if stops || time.is_zero() {
            return Err(Stopped::Deadline);
        }
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let limit = left.min(nanoseconds.saturating_mul(MOST_PER_NANOSECOND));
        Ok(i64::try_from(limit).unwrap_or(i64::MAX))
    }
}

/// Links what [`crate::metering`] built into the guest.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.instance(METER)?.func_wrap(
        SHOW,
        |mut store: wasmtime::StoreContextMut<'_, State>, (count,): (i64,)| {
            let limit = store.data_mut().meter.show(count, Instant::now());
            limit.map(|limit| (limit,)).map_err(wasmtime::Error::new)
        },
    )
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Meter, Stopped};

    #[test]
    fn a_guest_that_passed_its_limit_is_told_why() {
        let mut meter = Meter::new(100, Duration::from_secs(3600));
        let now = Instant::now();
        assert_eq!(meter.show(40, now), Ok(60));
        assert_eq!(meter.show(!50, now), Err(Stopped::Deadline));
        assert_eq!(meter.spent(), 90);
        assert_eq!(meter.show(!11, now), Err(Stopped::Fuel));
    }
}
