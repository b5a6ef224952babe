use std::fmt;

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

mod error;
mod text;

pub use error::InvalidTime;

/// A moment in UTC, in milliseconds since the Unix epoch, from 1970 to the end of 9999
/// ([`Timestamp::MAX`]). Text (JSON, YAML, CSV) uses RFC 3339. A number is accepted too: below 1e11 it counts
/// seconds since the epoch, from there on milliseconds ([`Timestamp::from_number`]). Deserialisation rejects
/// later moments, and arithmetic saturates at the last one, so that every written value can be read again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

/// A duration in milliseconds. Text uses `90s`, `15m`, `1h 30m`, `2d`; a number without a unit is refused.
/// Deserialisation rejects durations above [`Span::LONGEST`]. Arithmetic may exceed that bound; such a
/// duration is written as the bound, so that it can be read again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(u64);

/// A half-open interval of time, from `start` (inclusive) to `end` (exclusive).
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
pub struct Window {
    /// The first moment inside.
    pub start: Timestamp,
    /// The first moment outside.
    pub end: Timestamp,
}

impl Timestamp {
    /// The last moment: 9999-12-31T23:59:59.999Z.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// Converts milliseconds since the Unix epoch; saturates at [`Timestamp::MAX`].
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        if millis > Self::MAX.0 { Self::MAX } else { Self(millis) }
    }

    /// Converts milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// [`InvalidTime::TooLate`] after [`Timestamp::MAX`].
    pub const fn checked_from_millis(millis: u64) -> Result<Self, InvalidTime> {
        if millis > Self::MAX.0 { Err(InvalidTime::TooLate(millis)) } else { Ok(Self(millis)) }
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to `self`; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    /// The moment `span` before `self`; the epoch at the earliest.
    #[must_use]
    pub const fn before(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }

    /// The last multiple of `step` that is not after `self`.
    #[must_use]
    pub const fn floor(self, step: Span) -> Self {
        match self.0.checked_rem(step.0) {
            Some(rest) => Self(self.0 - rest),
            None => self,
        }
    }
}

/// Saturates at [`Timestamp::MAX`].
impl std::ops::Add<Span> for Timestamp {
    type Output = Self;

    fn add(self, span: Span) -> Self {
        Self::from_millis(self.0.saturating_add(span.0))
    }
}

impl std::ops::Add for Span {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Span {
    /// Zero.
    pub const ZERO: Self = Self(0);

    /// 24 hours.
    pub const DAY: Self = Self::from_mins(24 * 60);

    /// The maximum that a document or request may specify: 10 years of 365 days.
    pub const LONGEST: Self = Self(3650 * Self::DAY.0);

    /// Converts milliseconds, without a bound. Use [`Span::checked_from_millis`] for external input.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Converts milliseconds, up to [`Span::LONGEST`].
    ///
    /// # Errors
    /// [`InvalidTime::TooLong`].
    pub fn checked_from_millis(millis: u64) -> Result<Self, InvalidTime> {
        let span = Self(millis);
        if span > Self::LONGEST {
            return Err(InvalidTime::TooLong(span.to_string()));
        }
        Ok(span)
    }

    /// The shorter of the two.
    #[must_use]
    pub const fn min(self, other: Self) -> Self {
        if self.0 < other.0 { self } else { other }
    }

    /// Converts seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Converts minutes.
    #[must_use]
    pub const fn from_mins(minutes: u64) -> Self {
        Self(minutes.saturating_mul(60_000))
    }

    /// The length in milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The length in seconds.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// The length in hours.
    #[must_use]
    pub fn as_hours(self) -> f64 {
        self.0 as f64 / 3_600_000.0
    }

    /// Whether the length is zero.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The number of steps that cover the length, at least one; one if `step` is zero.
    #[must_use]
    pub const fn steps(self, step: Self) -> u64 {
        match self.0.checked_div(step.0) {
            Some(whole) => {
                let partial = !self.0.is_multiple_of(step.0);
                let steps = whole + partial as u64;
                if steps == 0 { 1 } else { steps }
            }
            None => 1,
        }
    }
}

impl From<Span> for std::time::Duration {
    fn from(span: Span) -> Self {
        Self::from_millis(span.0)
    }
}

impl Window {
    /// The window of length `length` from `start` on.
    #[must_use]
    pub fn new(start: Timestamp, length: Span) -> Self {
        Self { start, end: start + length }
    }

    /// Whether the moment is inside.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }

    /// Whether the two windows share a moment.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// Its length.
    #[must_use]
    pub fn length(&self) -> Span {
        self.end.since(self.start)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // jiff's own timestamps end a day before the last moment; its civil times do not.
        let since = jiff::SignedDuration::from_millis(self.0.cast_signed());
        match EPOCH.checked_add(since) {
            Ok(moment) => write!(f, "{moment}Z"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let parts = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")];
        let mut rest = self.0;
        let mut separator = "";
        for (length, unit) in parts {
            let count = rest / length;
            rest %= length;
            if count > 0 {
                write!(f, "{separator}{count}{unit}")?;
                separator = " ";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
