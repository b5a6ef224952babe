//! Times as people record them in files.

use haggle_model::{InvalidTime, Timestamp};
use jiff::{
    civil::DateTime,
    fmt::temporal::Pieces,
    tz::{AmbiguousOffset, TimeZone},
};

use crate::Zone;

/// One recorded time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) at: Timestamp,
    /// The offset of local time from UTC in milliseconds; `None` if the file does not say it.
    pub(crate) offset: Option<i64>,
    /// Whether the time is local time without an offset or zone, and therefore was read as UTC.
    pub(crate) is_naive: bool,
}

/// The reason why a text is not a time.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It has none of the forms.
    NotATime,
    /// It has the form of a time, but violates a rule.
    Rule(InvalidTime),
    /// The local time does not exist, because clocks are set forward.
    Skipped,
}

/// Reads the times of one series in order.
#[derive(Clone, Debug)]
pub(crate) struct Clock<'a> {
    zone: Option<&'a Zone>,
    last: Option<Timestamp>,
}

impl<'a> Clock<'a> {
    pub(crate) fn new(zone: Option<&'a Zone>) -> Self {
        Self { zone, last: None }
    }

    /// Reads the next time: RFC 3339, a local date and time, a date, the same in digits only, or seconds or
    /// milliseconds since the Unix epoch. A local time that occurs twice is the first occurrence that is
    /// after the time before.
    pub(crate) fn read(&mut self, text: &str) -> Result<Moment, Fault> {
        let moment = match local(text)? {
            Some(local) => self.resolve(local)?,
            None => self.absolute(text)?,
        };
        self.last = Some(moment.at);
        Ok(moment)
    }

    fn absolute(&self, text: &str) -> Result<Moment, Fault> {
        let at: Timestamp = text.parse().map_err(rule)?;
        let pieces = Pieces::parse(text).ok();
        let offset = match (pieces.and_then(|pieces| pieces.to_numeric_offset()), self.zone) {
            (Some(offset), _) => Some(offset),
            (None, Some(Zone(zone))) => offset_at(zone, at),
            (None, None) => None,
        };
        let offset = offset.map(|offset| i64::from(offset.seconds()) * 1000);
        Ok(Moment { at, offset, is_naive: false })
    }

    fn resolve(&self, local: DateTime) -> Result<Moment, Fault> {
        let Some(Zone(zone)) = self.zone else {
            let at = instant(local, jiff::tz::Offset::UTC)?;
            return Ok(Moment { at, offset: None, is_naive: true });
        };
        let offset = match zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Gap { .. } => return Err(Fault::Skipped),
            AmbiguousOffset::Fold { before, after } => {
                let first = instant(local, before)?;
                if self.last.is_some_and(|last| first <= last) { after } else { before }
            }
        };
        let at = instant(local, offset)?;
        Ok(Moment { at, offset: Some(i64::from(offset.seconds()) * 1000), is_naive: false })
    }
}

fn offset_at(zone: &TimeZone, at: Timestamp) -> Option<jiff::tz::Offset> {
    let millis = i64::try_from(at.as_millis()).ok()?;
    Some(zone.to_offset(jiff::Timestamp::from_millisecond(millis).ok()?))
}

fn instant(local: DateTime, offset: jiff::tz::Offset) -> Result<Timestamp, Fault> {
    let at = offset.to_timestamp(local).map_err(|_| Fault::NotATime)?;
    let millis = u64::try_from(at.as_millisecond()).map_err(|_| Fault::NotATime)?;
    Timestamp::checked_from_millis(millis).map_err(Fault::Rule)
}

/// Converts an error of a text that is not a local time. Only what names a broken rule is worth more than the
/// list of forms.
fn rule(error: InvalidTime) -> Fault {
    match error {
        InvalidTime::Part { .. } | InvalidTime::TooLate(_) => Fault::Rule(error),
        _ => Fault::NotATime,
    }
}

/// Returns the local date and time; `None` if the text is not a local time.
fn local(text: &str) -> Result<Option<DateTime>, Fault> {
    if text.bytes().all(|c| c.is_ascii_digit()) {
        return Ok(Timestamp::is_date_in_digits(text).then(|| of_digits(text)).flatten());
    }
    let is_local = text.starts_with(|c: char| c.is_ascii_digit())
        && Pieces::parse(text).is_ok_and(|pieces| pieces.to_numeric_offset().is_none());
    if !is_local {
        return Ok(None);
    }
    let Ok(local) = text.parse::<DateTime>() else { return Ok(None) };
    if text.contains([':', 'T', 't', ' ']) {
        // The parser takes the second 60.
        match format!("{text}Z").parse::<Timestamp>() {
            Err(error @ InvalidTime::Part { .. }) => return Err(Fault::Rule(error)),
            _ => return Ok(Some(local)),
        }
    }
    Ok(Some(local))
}

fn of_digits(digits: &str) -> Option<DateTime> {
    let part = |from: usize, to: usize| match digits.get(from..to) {
        Some(text) => text.parse::<i16>().ok(),
        None => Some(0),
    };
    let small = |from: usize| part(from, from + 2).and_then(|value| i8::try_from(value).ok());
    DateTime::new(part(0, 4)?, small(4)?, small(6)?, small(8)?, small(10)?, small(12)?, 0).ok()
}

/// Whether the text is a date, with or without separators, and no other number.
pub(crate) fn is_date(text: &str) -> bool {
    let numeric = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit() || c == b'.');
    if numeric {
        return Timestamp::is_date_in_digits(text);
    }
    Clock::new(None).read(text).is_ok()
}

/// Whether the text is a number that most likely counts seconds or milliseconds since the epoch: from 1973 to
/// 2099.
pub(crate) fn is_epoch(text: &str) -> bool {
    const RANGES: [std::ops::Range<f64>; 2] = [1e8..4.1e9, 1e11..4.1e12];
    let is_plain = text.bytes().all(|c| c.is_ascii_digit() || c == b'.');
    let number = text.parse::<f64>().ok().filter(|_| is_plain);
    number.is_some_and(|number| RANGES.iter().any(|range| range.contains(&number)))
}

#[cfg(test)]
mod tests {
    use haggle_model::Timestamp;

    use super::{Clock, Fault, is_date, is_epoch};
    use crate::Zone;

    fn parse(text: &str) -> Option<Timestamp> {
        Clock::new(None).read(text).ok().map(|moment| moment.at)
    }

    #[test]
    fn reads_a_moment_in_every_form() {
        let moment = parse("2013-08-12T13:40:00Z").unwrap();
        let same = [
            "2013-08-12T15:40:00+02:00",
            "2013-08-12 13:40:00",
            "2013-08-12T13:40",
            "20130812T1340",
            "20130812T134000Z",
            "201308121340",
            "20130812134000",
            "1376314800",
            "1376314800000",
            "1376314800.0",
        ];
        for text in same {
            assert_eq!(parse(text), Some(moment), "{text}");
        }
        assert_eq!(parse("20130812"), parse("2013-08-12T00:00:00Z"));
        assert_eq!(parse("2013-08-12"), parse("20130812"));
    }

    #[test]
    fn refuses_what_is_none() {
        for text in [
            "",
            "-1",
            "time",
            "12:40",
            "1.2.3",
            "NaN",
            "1e9",
            "9999999999999999",
            "1969-01-01",
            "2026-01-31T12:00:00+25:00",
            "2026-01-31 12:00:60",
            "2026-01-31 12:00:00.0000000001",
            "2026-13-01",
            "20261301T0000",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert!(!is_date("1376314800") && is_date("20130812") && is_date("2013-08-12"));
        assert!(is_epoch("1376314800") && is_epoch("1376314800.5") && is_epoch("1376314800000"));
        assert!(!is_epoch("17") && !is_epoch("web") && !is_epoch("1e9"));
    }

    #[test]
    fn a_zone_says_which_of_two_local_times_it_is() {
        let berlin: Zone = "Europe/Berlin".parse().unwrap();
        let mut clock = Clock::new(Some(&berlin));
        let mut read = |text: &str| clock.read(text).unwrap().at.to_string();
        assert_eq!(read("2026-10-25 01:30:00"), "2026-10-24T23:30:00Z");
        assert_eq!(read("2026-10-25 02:00:00"), "2026-10-25T00:00:00Z");
        assert_eq!(read("2026-10-25 02:00:00"), "2026-10-25T01:00:00Z");
        assert_eq!(read("2026-10-25 03:00:00"), "2026-10-25T02:00:00Z");
        let skipped = Clock::new(Some(&berlin)).read("2026-03-29 02:30:00");
        assert!(matches!(skipped, Err(Fault::Skipped)), "{skipped:?}");
    }
}
