//! Where a time stands in the day and in the week, in UTC: the contract's times carry no zone, and a load
//! that follows another one is learnt from the load itself.

/// An hour in milliseconds.
pub const HOUR: u64 = 3_600_000;
/// A day in milliseconds.
pub const DAY: u64 = 24 * HOUR;
/// A week in milliseconds.
pub const WEEK: u64 = 7 * DAY;

/// The share of the day that has passed, 0 to 1 (exclusive).
#[must_use]
pub fn of_day(time: u64) -> f64 {
    (time % DAY) as f64 / DAY as f64
}

/// 0 is Monday, 6 is Sunday. (The epoch was a Thursday.)
#[must_use]
pub fn day_of_week(time: u64) -> usize {
    ((time / DAY + 3) % 7) as usize
}
