//! The time of day and the day of the week, in UTC. The contract's times carry no zone; a load that follows another
//! zone shows that in its values.

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

/// The day of the week: 0 is Monday, 6 is Sunday. (The epoch was a Thursday.)
#[must_use]
pub fn day_of_week(time: u64) -> usize {
    ((time / DAY + 3) % 7) as usize
}
