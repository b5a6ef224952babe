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
    fn a_number_is_read_up_to_the_bound_and_refused_above(millis in any::<u64>()) {
        let text = millis.to_string();
        let moment = serde_json::from_str::<Timestamp>(&text);
        prop_assert_eq!(moment.is_ok(), millis <= Timestamp::MAX.as_millis());
        let span = serde_json::from_str::<Span>(&text);
        prop_assert_eq!(span.is_ok(), millis <= Span::LONGEST.as_millis());
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
    for text in [r#""10000000d""#, r#""3651d""#, "18446744073709551615"] {
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
