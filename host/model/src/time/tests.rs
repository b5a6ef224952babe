use proptest::prelude::*;

use super::{InvalidTime, Span, Timestamp, Window};

fn written<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap()
}

proptest! {
    #[test]
    fn a_span_reads_back_as_it_was_written(millis in 0..=Span::LONGEST.as_millis()) {
        let span = Span::from_millis(millis);
        prop_assert_eq!(span.to_string().parse::<Span>(), Ok(span));
        prop_assert_eq!(serde_json::from_str::<Span>(&written(&span)).unwrap(), span);
    }

    #[test]
    fn a_timestamp_reads_back_as_it_was_written(millis in 0..=Timestamp::MAX.as_millis()) {
        let moment = Timestamp::from_millis(millis);
        prop_assert_eq!(serde_json::from_str::<Timestamp>(&written(&moment)).unwrap(), moment);
    }

    #[test]
    fn whatever_arithmetic_makes_can_be_read_again(a in any::<u64>(), b in any::<u64>()) {
        let moment = Timestamp::from_millis(a) + Span::from_millis(b);
        prop_assert_eq!(serde_json::from_str::<Timestamp>(&written(&moment)).unwrap(), moment);
        let span = Span::from_millis(a) + Span::from_millis(b);
        prop_assert!(serde_json::from_str::<Span>(&written(&span)).is_ok());
    }

    #[test]
    fn a_number_is_seconds_or_milliseconds_up_to_the_bound(number in prop_oneof![
        any::<u64>(), 0..200_000_000_000_u64, 0..400_000_000_000_000_u64,
    ]) {
        let moment = serde_json::from_str::<Timestamp>(&number.to_string());
        let millis = if number < 100_000_000_000 { number * 1000 } else { number };
        match moment {
            Ok(moment) => prop_assert_eq!(moment.as_millis(), millis),
            Err(error) => prop_assert!(
                millis > Timestamp::MAX.as_millis() || error.to_string().contains("may be a date"),
                "{}", error
            ),
        }
    }

    #[test]
    fn a_duration_needs_a_unit(number in prop_oneof![any::<u64>(), 0..100_000_u64]) {
        let as_number = serde_json::from_str::<Span>(&number.to_string()).unwrap_err().to_string();
        let as_text = serde_json::from_str::<Span>(&format!("\"{number}\"")).unwrap_err().to_string();
        let on_the_command_line = number.to_string().parse::<Span>().unwrap_err().to_string();
        for error in [&as_number, &as_text, &on_the_command_line] {
            prop_assert!(error.contains(" is not a duration: write "), "{}", error);
        }
        prop_assert!(as_number.starts_with(&on_the_command_line));
    }
}

#[test]
fn the_last_moment_is_written_and_read() {
    assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59.999Z");
    assert_eq!("9999-12-31T23:59:59.999Z".parse(), Ok(Timestamp::MAX));
    assert_eq!(Timestamp::MAX + Span::from_millis(1), Timestamp::MAX);
    assert_eq!(Timestamp::from_millis(u64::MAX), Timestamp::MAX);
    assert_eq!(Timestamp::from_millis(7).to_string(), "1970-01-01T00:00:00.007Z");
    let past = Timestamp::MAX.as_millis() + 1;
    assert_eq!(Timestamp::checked_from_millis(past), Err(InvalidTime::TooLate(past)));
    let error = serde_json::from_str::<Timestamp>("18446744073709551615").unwrap_err().to_string();
    assert!(error.contains("9999-12-31T23:59:59.999Z"), "{error}");
}

#[test]
fn too_long_a_span_is_refused_with_the_bound() {
    for text in [r#""10000000d""#, r#""3651d""#, r#""315360000001ms""#] {
        let error = serde_json::from_str::<Span>(text).unwrap_err().to_string();
        assert!(error.contains("at most 3650d"), "{error}");
    }
    assert_eq!("3650d".parse(), Ok(Span::LONGEST));
    assert_eq!(written(&Span::from_millis(u64::MAX)), r#""3650d""#);
}

#[test]
fn reads_what_people_write() {
    assert_eq!("1h 30m".parse(), Ok(Span::from_mins(90)));
    assert_eq!("250ms".parse(), Ok(Span::from_millis(250)));
    for bad in ["", "15", "m", "-5s", "5 m", "5y", "99999999999999999999d"] {
        assert!(bad.parse::<Span>().is_err(), "{bad:?}");
    }
    for bad in ["", "yesterday", "1969-12-31T00:00:00Z", "9999-12-31", "9999-12-31T24:00:00Z"] {
        assert!(bad.parse::<Timestamp>().is_err(), "{bad:?}");
    }
}

#[test]
fn a_window_does_not_contain_its_end() {
    let window = Window::new(Timestamp::from_millis(10), Span::from_millis(5));
    assert!(window.contains(Timestamp::from_millis(10)));
    assert!(!window.contains(window.end));
    assert!(!window.overlaps(&Window::new(window.end, Span::from_millis(1))));
}

#[test]
fn a_number_without_a_unit_is_told_what_to_write() {
    for (number, write) in [
        ("300", "300 is not a duration: write 300s or 5m"),
        ("45", "45 is not a duration: write 45s"),
        ("0", "0 is not a duration: write 0s"),
        ("1800", "write 1800s or 30m"),
        ("1.5", "1.5 is not a duration: write 1s 500ms"),
        ("-5", "-5 is not a duration: write a number with a unit"),
        ("1e12", "write a number with a unit"),
    ] {
        let error = serde_json::from_str::<Span>(number).unwrap_err().to_string();
        assert!(error.contains(write), "{number}: {error}");
    }
    assert_eq!(
        "300".parse::<Span>().unwrap_err().to_string(),
        "300 is not a duration: write 300s or 5m"
    );
}

#[test]
fn seconds_and_milliseconds_are_the_same_moment_everywhere() {
    let moment: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    for text in ["1767323045", "1767323045000", "1767323045.0"] {
        assert_eq!(text.parse(), Ok(moment), "{text}");
        assert_eq!(serde_json::from_str::<Timestamp>(text).unwrap(), moment, "{text}");
    }
    let fraction = serde_json::from_str::<Timestamp>("1767323045.123").unwrap();
    assert_eq!(fraction.as_millis(), moment.as_millis() + 123);
}

#[test]
fn a_number_that_is_no_moment_is_refused() {
    for (text, says) in [
        ("20260102", "20260102 may be a date without separators or a number"),
        ("202601020304", "may be a date"),
        ("20260102030405", "may be a date"),
        ("-1", "-1 is not a time: a number counts the seconds since 1970"),
        ("-1.5", "is not negative"),
        ("1767323045000000", "divide microseconds by 1000"),
        ("1767323045000000000", "nanoseconds by 1000000"),
    ] {
        let error = serde_json::from_str::<Timestamp>(text).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn a_time_has_its_parts_in_range() {
    for (text, says) in [
        ("2026-01-31T12:00:00+25:00", "an offset lies between"),
        ("2026-01-31T12:00:00+24:00", "an offset lies between"),
        ("2026-01-31T12:00:00-01:60", "an offset lies between"),
        ("2026-01-31T23:59:60Z", "seconds go from 00 to 59"),
        ("20260131T235960Z", "seconds go from 00 to 59"),
        ("2026-01-31T12:00:00.0000000001Z", "at most 9 digits"),
        ("2026-02-30T12:00:00Z", "is not a time: use RFC 3339"),
        ("2026-01-31T12:00:00", "is not a time: use RFC 3339"),
    ] {
        let error = text.parse::<Timestamp>().unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
    for text in [
        "2026-01-31T12:00:00.123456789Z",
        "2026-01-31T12:00:00+14:00",
        "2026-01-31 12:00:00z",
        "2026-01-31T12:00:00-0330",
        "20260131T120000Z",
    ] {
        assert!(text.parse::<Timestamp>().is_ok(), "{text}");
    }
}
