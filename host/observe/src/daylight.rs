//! Recognises that local times without an offset were recorded while clocks were set forward or back.

use haggle_model::{Span, Timestamp};
use jiff::civil::{DateTime, Weekday};

/// A change of the clocks that local times show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The row after the change.
    pub(crate) place: usize,
    pub(crate) time: Timestamp,
    pub(crate) previous: Timestamp,
    pub(crate) is_repeated: bool,
}

const HOUR: Span = Span::from_mins(60);

/// In a file with more gaps or repeated times than this, one of them proves nothing.
const MOST: usize = 4;

/// Whether `time` after `last` looks as if clocks were set back by up to an hour. The times are local, read as
/// UTC.
pub(crate) fn is_set_back(last: Timestamp, time: Timestamp) -> bool {
    time < last && last.since(time) <= HOUR && is_night(time, &BACK)
}

/// Finds a repeated or skipped hour in local times that never go backwards, read as UTC. `step` is their
/// usual distance in milliseconds.
pub(crate) fn change(times: &[Timestamp], step: Option<u64>) -> Option<Change> {
    let step = Span::from_millis(step?);
    if step > HOUR {
        return None;
    }
    let pairs = || times.iter().copied().zip(times.iter().copied().skip(1)).enumerate();
    let changed = |is_repeated: bool| {
        let odd = move |(_, (previous, time)): &(usize, (Timestamp, Timestamp))| {
            if is_repeated { previous == time } else { time.since(*previous) > step + step }
        };
        // By the hour, the gap is exactly two steps.
        let gap = move |(_, (previous, time)): &(usize, (Timestamp, Timestamp))| {
            time.since(*previous) == step + HOUR
        };
        if pairs().filter(odd).count() > MOST {
            return None;
        }
        let found = pairs().find(|pair| {
            let (_, (previous, time)) = pair;
            if is_repeated {
                step == HOUR && previous == time && is_night(*time, &BACK)
            } else {
                gap(pair) && is_night(*time, &FORWARD)
            }
        });
        found.map(|(place, (previous, time))| Change {
            place: place + 1,
            time,
            previous,
            is_repeated,
        })
    };
    changed(true).or_else(|| changed(false))
}

/// The time without its zone.
pub(crate) fn without_zone(time: Timestamp) -> String {
    time.to_string().trim_end_matches('Z').replace('T', " ")
}

/// Sundays on which clocks change: the month, and which Sunday of the month (from 1, or -1 for the last).
type Sundays = [(i8, i8); 3];

/// Europe and North America; Australia and New Zealand.
const BACK: Sundays = [(10, -1), (11, 1), (4, 1)];
const FORWARD: Sundays = [(3, -1), (3, 2), (10, 1)];

/// Whether the local time lies between midnight and four on one of these Sundays.
fn is_night(time: Timestamp, sundays: &Sundays) -> bool {
    let Some(local) = local(time) else { return false };
    let (month, day) = (local.month(), local.day());
    let is_sunday = local.weekday() == Weekday::Sunday && local.hour() < 4;
    let nth = (day - 1) / 7 + 1;
    let is_last = day + 7 > local.days_in_month();
    is_sunday
        && sundays
            .iter()
            .any(|(of, which)| *of == month && if *which < 0 { is_last } else { *which == nth })
}

fn local(time: Timestamp) -> Option<DateTime> {
    let since = jiff::SignedDuration::from_millis(i64::try_from(time.as_millis()).ok()?);
    DateTime::constant(1970, 1, 1, 0, 0, 0, 0).checked_add(since).ok()
}

#[cfg(test)]
mod tests {
    use haggle_model::Timestamp;

    use super::{change, is_set_back};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn hours(texts: &[&str]) -> Vec<Timestamp> {
        texts.iter().map(|text| at(&format!("{text}:00:00Z"))).collect()
    }

    #[test]
    fn the_nights_in_which_clocks_change_are_known() {
        assert!(is_set_back(at("2026-10-25T02:50:00Z"), at("2026-10-25T02:00:00Z")));
        assert!(is_set_back(at("2026-11-01T01:59:00Z"), at("2026-11-01T01:00:00Z")));
        assert!(!is_set_back(at("2026-10-25T02:50:00Z"), at("2026-10-25T01:00:00Z")));
        assert!(!is_set_back(at("2026-10-18T02:50:00Z"), at("2026-10-18T02:00:00Z")));
        let step = Some(3_600_000);
        let back = hours(&["2026-10-25T01", "2026-10-25T02", "2026-10-25T02", "2026-10-25T03"]);
        let found = change(&back, step).unwrap();
        assert_eq!((found.place, found.is_repeated), (2, true));
        let forward = hours(&["2026-03-29T00", "2026-03-29T01", "2026-03-29T03"]);
        let found = change(&forward, step).unwrap();
        assert_eq!((found.place, found.is_repeated), (2, false));
        let gap = hours(&["2026-03-22T00", "2026-03-22T01", "2026-03-22T03"]);
        assert_eq!(change(&gap, step), None);
        assert_eq!(change(&forward, None), None);
    }
}
