use super::{Span, Timestamp};

/// The reasons for which a text or number is not a time or a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTime {
    /// The text is not a moment.
    #[error("{0:?} is not a time: use RFC 3339 such as 2026-01-31T12:00:00Z, from 1970 to 9999")]
    Timestamp(String),
    /// A part of the moment is out of its range.
    #[error("{text:?} is not a time: {rule}")]
    Part {
        /// The text, shortened.
        text: String,
        /// The rule that it violates.
        rule: &'static str,
    },
    /// The number may be a moment or a date in digits.
    #[error(
        "{0} may be a date without separators or a number of seconds or milliseconds since 1970: write it as in 2026-01-31T12:00:00Z"
    )]
    Ambiguous(String),
    /// The number is before the epoch.
    #[error(
        "{0} is not a time: a number counts the seconds since 1970 (below 1e11) or the milliseconds (from 1e11 on), and is not negative"
    )]
    Number(String),
    /// The moment is after the last one.
    #[error("{0} ms after 1970 is too late: the last time is {last}, {ms} ms; divide microseconds by 1000 and nanoseconds by 1000000", last = Timestamp::MAX, ms = Timestamp::MAX.0)]
    TooLate(u64),
    /// The text is not a duration.
    #[error("{0:?} is not a duration: use whole numbers with units: 250ms, 90s, 15m, 1h 30m or 2d")]
    Span(String),
    /// The duration has no unit.
    #[error("{number} is not a duration: write {write}")]
    NoUnit {
        /// The number.
        number: String,
        /// The same number with a unit.
        write: String,
    },
    /// The duration exceeds the maximum.
    #[error("{0} is too long: a duration is at most {days}d (10 years), {ms} ms", days = Span::LONGEST.0 / Span::DAY.0, ms = Span::LONGEST.0)]
    TooLong(String),
}

impl InvalidTime {
    /// The refusal of a duration that is only a number. People mean seconds in most cases, so the message
    /// shows the number as seconds.
    pub(super) fn no_unit(number: &str) -> Self {
        let seconds = number.parse::<f64>().ok().filter(|seconds| *seconds >= 0.0);
        let span = seconds.map(|seconds| Span::from_millis((seconds * 1000.0).round() as u64));
        let write = match span {
            Some(span) if span <= Span::LONGEST => {
                let written = span.to_string();
                let plain = format!("{number}s");
                // A number with a fraction or an exponent cannot precede a unit.
                if written == plain || !number.bytes().all(|c| c.is_ascii_digit()) {
                    written
                } else {
                    format!("{plain} or {written}")
                }
            }
            _ => "a number with a unit, such as 90s, 15m or 2h".to_owned(),
        };
        Self::NoUnit { number: number.chars().take(80).collect(), write }
    }
}
