//! Times of a series, which the contract anchors at its last value.

use crate::types::Series;

impl Series {
    /// The time of the first value in milliseconds since the epoch: `n - 1` steps before the last one, where
    /// `n` is the number of values. It is `last_at_ms` for a series without values, and 0 where the first
    /// value would be older than the epoch.
    #[must_use]
    pub fn start_ms(&self) -> u64 {
        let steps = self.values.len().saturating_sub(1) as u64;
        self.last_at_ms.saturating_sub(self.step_ms.saturating_mul(steps))
    }
}

#[cfg(test)]
mod tests {
    use super::Series;

    fn series(last_at_ms: u64, step_ms: u64, count: usize) -> Series {
        let values = vec![1.0; count];
        Series { id: "web".into(), last_at_ms, step_ms, values, non_negative: true }
    }

    #[test]
    fn the_first_value_is_a_step_older_for_each_value_after_it() {
        assert_eq!(series(1000, 10, 1).start_ms(), 1000);
        assert_eq!(series(1000, 10, 2).start_ms(), 990);
        assert_eq!(series(1000, 10, 101).start_ms(), 0);
    }

    #[test]
    fn a_series_without_values_starts_where_it_ends() {
        assert_eq!(series(1000, 10, 0).start_ms(), 1000);
    }

    #[test]
    fn no_series_starts_before_the_epoch() {
        assert_eq!(series(1000, 10, 102).start_ms(), 0);
        assert_eq!(series(u64::MAX, u64::MAX, 3).start_ms(), 0);
    }
}
