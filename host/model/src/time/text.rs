//! The text format of times and durations, and how numbers are read.

use std::{fmt, str::FromStr};

use jiff::civil::{Date, DateTime};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{EPOCH, InvalidTime, Span, Timestamp};

/// Numbers from here on are milliseconds: as seconds this would be the year 5138, as milliseconds it is March
/// 1973.
const FIRST_MILLIS: f64 = 1e11;

impl Timestamp {
    /// Converts a number: seconds since the Unix epoch below 1e11, milliseconds from there on. Fractions of
    /// a millisecond are rounded.
    ///
    /// # Errors
    /// [`InvalidTime`] for a negative number, for one after [`Timestamp::MAX`], and for one that may be a date
    /// in digits, such as 20260131.
    pub fn from_number(number: f64) -> Result<Self, InvalidTime> {
        if number.is_nan() || number < 0.0 {
            return Err(InvalidTime::Number(number.to_string()));
        }
        if number.fract() == 0.0
            && number < 1e15
            && Self::is_date_in_digits(&format!("{number:.0}"))
        {
            return Err(InvalidTime::Ambiguous(format!("{number:.0}")));
        }
        let millis = if number < FIRST_MILLIS { number * 1000.0 } else { number };
        // The conversion saturates.
        Self::checked_from_millis(millis.round() as u64)
    }

    /// Whether these digits may be a date and time without separators, such as 20260131 or 202601311200: a
    /// year from 1900 to 2199, a month and a day, and then nothing, hours and minutes, or hours, minutes and
    /// seconds.
    #[must_use]
    pub fn is_date_in_digits(digits: &str) -> bool {
        let part = |from: usize, to: usize| digits.get(from..to)?.parse::<i16>().ok();
        let small = |value: Option<i16>| value.and_then(|value| i8::try_from(value).ok());
        let date = || Date::new(part(0, 4)?, small(part(4, 6))?, small(part(6, 8))?).ok();
        let below =
            |from: usize, limit: i16| part(from, from + 2).is_some_and(|value| value < limit);
        let time = match digits.len() {
            8 => true,
            12 => below(8, 24) && below(10, 60),
            14 => below(8, 24) && below(10, 60) && below(12, 60),
            _ => false,
        };
        time && date().is_some_and(|date| (1900..2200).contains(&date.year()))
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Refuses a time whose parts are out of range although the parser takes it: it accepts offsets up to 25
/// hours and reads the second 60 as 59.
fn check_parts(text: &str) -> Result<(), InvalidTime> {
    let wrong = |rule| Err(InvalidTime::Part { text: shortened(text), rule });
    let Some((_, time)) = text.split_once(['T', 't', ' ', '_']) else { return Ok(()) };
    let time = time.split('[').next().unwrap_or(time).trim();
    let (clock, offset) = match time.find(['+', '-', '\u{2212}']) {
        Some(at) => time.split_at(at),
        None => (time.trim_end_matches(['Z', 'z']), ""),
    };
    let (whole, fraction) = clock.split_once(['.', ',']).unwrap_or((clock, ""));
    if fraction.len() > 9 {
        return wrong("a second has at most 9 digits behind the point");
    }
    let digits: Vec<u8> = whole.bytes().filter(u8::is_ascii_digit).collect();
    if digits.get(4..6) == Some(b"60") {
        return wrong("seconds go from 00 to 59: write leap seconds as 59");
    }
    let digits: String = offset.chars().filter(char::is_ascii_digit).collect();
    let part = |from: usize| digits.get(from..from + 2).and_then(|two| two.parse::<u8>().ok());
    let beyond = |from, most| part(from).is_some_and(|value| value > most);
    if beyond(0, 23) || beyond(2, 59) {
        return wrong("an offset lies between -23:59 and +23:59");
    }
    Ok(())
}

/// Parses the last moments of 9999, which jiff's timestamps do not reach. Accepts only UTC.
fn last_moments(text: &str) -> Option<u64> {
    let moment: DateTime = text.strip_suffix(['Z', 'z'])?.parse().ok()?;
    let since = moment.duration_since(EPOCH);
    (moment.year() == 9999).then(|| u64::try_from(since.as_millis()).ok())?
}

impl FromStr for Timestamp {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        let numeric = |c: u8| c.is_ascii_digit() || c == b'.';
        if !text.is_empty() && text.bytes().all(numeric) {
            let number = text.parse().map_err(|_| InvalidTime::Timestamp(shortened(text)))?;
            return Self::from_number(number);
        }
        check_parts(text)?;
        text.parse::<jiff::Timestamp>()
            .ok()
            .and_then(|moment| u64::try_from(moment.as_millisecond()).ok())
            .or_else(|| last_moments(text))
            .map(Self::from_millis)
            .ok_or_else(|| InvalidTime::Timestamp(shortened(text)))
    }
}

impl FromStr for Span {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        let invalid = || InvalidTime::Span(shortened(text));
        let mut total = 0_u64;
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(invalid());
        }
        if rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') && rest.parse::<f64>().is_ok()
        {
            return Err(InvalidTime::no_unit(rest));
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(invalid)?;
            let (count, tail) = rest.split_at(digits);
            let letters = tail.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(letters);
            let length = match unit {
                "d" => 86_400_000,
                "h" => 3_600_000,
                "m" | "min" => 60_000,
                "s" => 1000,
                "ms" => 1,
                _ => return Err(invalid()),
            };
            total = count
                .parse::<u64>()
                .ok()
                .and_then(|count| count.checked_mul(length))
                .and_then(|part| total.checked_add(part))
                .ok_or_else(invalid)?;
            rest = tail.trim_start();
        }
        Self::checked_from_millis(total)
    }
}

/// How a type over milliseconds reads numbers in a human-readable format.
trait FromNumber: Sized + FromStr<Err = InvalidTime> {
    const EXPECTING: &'static str;

    /// Reads a number.
    fn read(number: f64, text: &str) -> Result<Self, InvalidTime>;

    /// Reads milliseconds from a binary format.
    fn millis(millis: u64) -> Result<Self, InvalidTime>;
}

impl FromNumber for Timestamp {
    const EXPECTING: &'static str =
        "a time in RFC 3339, or the seconds (below 1e11) or milliseconds since the Unix epoch";

    fn read(number: f64, _: &str) -> Result<Self, InvalidTime> {
        Self::from_number(number)
    }

    fn millis(millis: u64) -> Result<Self, InvalidTime> {
        Self::checked_from_millis(millis)
    }
}

impl FromNumber for Span {
    const EXPECTING: &'static str =
        "a duration with a unit, such as 90s or 1h 30m, of at most 3650d";

    fn read(_: f64, text: &str) -> Result<Self, InvalidTime> {
        Err(InvalidTime::no_unit(text))
    }

    fn millis(millis: u64) -> Result<Self, InvalidTime> {
        Self::checked_from_millis(millis)
    }
}

/// A visitor of text, of numbers as people write them, and of milliseconds in binary formats.
struct Visitor<T> {
    is_text: bool,
    of: std::marker::PhantomData<T>,
}

impl<T: FromNumber> de::Visitor<'_> for Visitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTING)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        let read = if self.is_text {
            T::read(number as f64, &number.to_string())
        } else {
            T::millis(number)
        };
        read.map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => T::read(number as f64, &number.to_string()).map_err(E::custom),
        }
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        T::read(number, &number.to_string()).map_err(E::custom)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

/// Serde for a type over milliseconds: text in human-readable formats, a number otherwise.
macro_rules! serde_as_text_or_millis {
    ($type:ident, $bound:ident, $example:literal) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let written = (*self).min(Self::$bound);
                if serializer.is_human_readable() {
                    serializer.collect_str(&written)
                } else {
                    serializer.serialize_u64(written.0)
                }
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let is_text = deserializer.is_human_readable();
                let visitor = Visitor { is_text, of: std::marker::PhantomData };
                if is_text {
                    deserializer.deserialize_any(visitor)
                } else {
                    deserializer.deserialize_u64(visitor)
                }
            }
        }

        impl utoipa::PartialSchema for $type {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .description(Some(<$type as FromNumber>::EXPECTING))
                    .examples([$example])
                    .into()
            }
        }

        impl utoipa::ToSchema for $type {}
    };
}

serde_as_text_or_millis!(Timestamp, MAX, "2026-01-31T12:00:00Z");
serde_as_text_or_millis!(Span, LONGEST, "15m");
