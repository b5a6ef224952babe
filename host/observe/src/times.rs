use haggle_model::Timestamp;
use jiff::{civil::DateTime, tz::TimeZone};

/// Numbers from here on are milliseconds: as seconds this would be the year 5138, as milliseconds it is March
/// 1973.
const FIRST_MILLIS: f64 = 1e11;

/// Parses a time as people record it: RFC 3339, a date and time without a zone (UTC), or Unix seconds or
/// milliseconds.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    parse_number(text).or_else(|| parse_date(text))
}

/// Parses only dates, not plain numbers.
pub(crate) fn parse_date(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    let moment = text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
    u64::try_from(moment.as_millisecond()).ok().map(Timestamp::from_millis)
}

fn parse_number(text: &str) -> Option<Timestamp> {
    if !text.bytes().all(|c| c.is_ascii_digit() || c == b'.') {
        return None;
    }
    let number: f64 = text.parse().ok()?;
    let millis = if number < FIRST_MILLIS { number * 1000.0 } else { number };
    // 9999-12-31T23:59:59.999Z, the last time with a text form.
    (millis <= 253_402_300_799_999.0).then(|| Timestamp::from_millis(millis.round() as u64))
}

#[cfg(test)]
mod tests {
    use super::{parse, parse_date};

    #[test]
    fn reads_a_moment_in_every_form() {
        let moment = parse("2013-08-12T13:40:00Z").unwrap();
        let same = [
            "2013-08-12T15:40:00+02:00",
            "2013-08-12 13:40:00",
            "2013-08-12T13:40",
            "1376314800",
            "1376314800000",
            "1376314800.0",
        ];
        for text in same {
            assert_eq!(parse(text), Some(moment), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_none() {
        for text in
            ["", "-1", "time", "12:40", "1.2.3", "NaN", "1e9", "9999999999999999", "1969-01-01"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse_date("1376314800"), None);
    }
}
