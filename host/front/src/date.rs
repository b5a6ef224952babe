//! The `Date` header of responses.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::HeaderValue;

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const SECONDS_OF_A_DAY: u64 = 86_400;

/// Formats a time as in RFC 9110, to the second. The format covers 1970 to 9999; a server whose clock is
/// outside of that sends no date.
pub(crate) fn http_date(time: SystemTime) -> Option<HeaderValue> {
    let seconds = time.duration_since(UNIX_EPOCH).ok()?.as_secs();
    let (days, of_day) = (seconds / SECONDS_OF_A_DAY, seconds % SECONDS_OF_A_DAY);
    let (year, month, day) = civil(days);
    if year > 9999 {
        return None;
    }
    let weekday = DAYS.get(usize::try_from(days % 7).ok()?)?;
    let month = MONTHS.get(usize::try_from(month).ok()?)?;
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let text =
        format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT");
    HeaderValue::from_str(&text).ok()
}

/// Converts a day number since 1970-01-01 to the year, the month from 0 and the day from 1. Years begin in
/// March here, so that a leap day is the last day of its year, and every 400 years form a cycle of equal
/// length.
const fn civil(days: u64) -> (u64, u64, u64) {
    const CYCLE: u64 = 146_097;
    let days = days + 719_468;
    let (cycle, of_cycle) = (days / CYCLE, days % CYCLE);
    let of_cycle_years =
        (of_cycle - of_cycle / 1460 + of_cycle / 36_524 - of_cycle / (CYCLE - 1)) / 365;
    let of_year = of_cycle - (365 * of_cycle_years + of_cycle_years / 4 - of_cycle_years / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12;
    let year = cycle * 400 + of_cycle_years + if month < 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use super::{civil, http_date};

    fn at(seconds: u64) -> Option<String> {
        let date = http_date(UNIX_EPOCH + Duration::from_secs(seconds))?;
        Some(date.to_str().unwrap().to_owned())
    }

    #[test]
    fn known_times() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(at(seconds).as_deref(), Some(text));
        }
    }

    #[test]
    fn an_absurd_clock_has_no_date() {
        assert_eq!(at(253_402_300_800), None);
        assert_eq!(at(u64::from(u32::MAX) * 1_000_000), None);
        assert_eq!(http_date(UNIX_EPOCH - Duration::from_secs(1)), None);
        let last = UNIX_EPOCH.checked_add(Duration::from_secs(i64::MAX.cast_unsigned()));
        assert_eq!(last.and_then(http_date), None);
        assert!(http_date(SystemTime::now()).is_some());
    }

    #[test]
    fn each_day_follows_the_one_before() {
        let mut before = civil(0);
        for days in 1..150_000 {
            let (year, month, day) = civil(days);
            let next_day = (year, month, day) == (before.0, before.1, before.2 + 1);
            let next_month = day == 1 && (year * 12 + month) == (before.0 * 12 + before.1) + 1;
            assert!(
                next_day || next_month && before.2 >= 28,
                "{before:?} and {year} {month} {day}"
            );
            before = (year, month, day);
        }
    }
}
