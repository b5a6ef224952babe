//! Events that change the series of a file.

use std::path::Path;

use anyhow::bail;
use haggle_model::{CalendarEvent, Document, Span, Timestamp, Window};
use haggle_plugins::convert::events_within;
use haggle_sandbox::types::CalendarEvent as Told;

use super::subject::Subject;
use crate::documents::{self, Identity};

/// Reads the documents of a file or folder, all of which must be events.
///
/// # Errors
/// When a document is not valid or not an event.
pub(in crate::commands) fn open(path: Option<&Path>) -> anyhow::Result<Vec<CalendarEvent>> {
    let Some(path) = path else { return Ok(Vec::new()) };
    let mut events = Vec::new();
    for placed in documents::open(path)? {
        let Document::Event(event) = placed.document else {
            let other = Identity::of(&placed.document);
            bail!("{}: {other} is not an event: name a file that holds events only", placed.place);
        };
        events.push(event);
    }
    Ok(events)
}

/// Whether the same events concern both series.
pub(super) fn concern_alike(events: &[CalendarEvent], one: &Subject, other: &Subject) -> bool {
    let (one, other) = (&one.series.id, &other.series.id);
    events.iter().all(|event| event.concerns(one) == event.concerns(other))
}

/// The events that a plugin receives for a batch, whose series all have the same events: the occurrences that
/// overlap the history or the `horizon`, in steps.
pub(super) fn told(events: &[CalendarEvent], batch: &[Subject], horizon: u32) -> Vec<Told> {
    let Some(first) = batch.first().filter(|_| !events.is_empty()) else { return Vec::new() };
    let ahead = |subject: &Subject| {
        let steps = subject.series.step_ms.saturating_mul(u64::from(horizon));
        Timestamp::from_millis(subject.end) + Span::from_millis(steps)
    };
    let start = batch.iter().map(Subject::start).min().unwrap_or_default();
    let end = batch.iter().map(ahead).max().unwrap_or_default();
    let window = Window { start: Timestamp::from_millis(start), end };
    events_within(events.iter().filter(|event| event.concerns(&first.series.id)), window)
}

#[cfg(test)]
mod tests {
    use super::{Subject, concern_alike, told};
    use haggle_model::{CalendarEvent, Series, Span, Timestamp};

    fn subject(id: &str) -> Subject {
        let (start, step) = (Timestamp::from_millis(100), Span::from_millis(10));
        Subject::new((id.to_owned(), Series { start, step, values: vec![1.0; 5] }))
    }

    #[test]
    fn a_series_is_told_of_what_concerns_it_in_its_time() {
        let event = |json: &str| serde_json::from_str::<CalendarEvent>(json).unwrap();
        let events = [
            event(
                r#"{"name": "all", "event": "backup",
                    "times": [{"start": 0.010, "end": 0.020}, {"start": 0.090, "end": 0.110}, {"start": 0.169, "end": 0.900}]}"#,
            ),
            event(
                r#"{"name": "some", "event": "release", "services": ["b", "c"],
                    "times": [{"start": 0.120, "duration": "1ms"}, {"start": 0.170, "duration": "1ms"}]}"#,
            ),
        ];
        let (a, b, c) = (subject("a"), subject("b"), subject("c"));
        assert!(concern_alike(&events, &b, &c));
        assert!(!concern_alike(&events, &a, &b));
        let starts = |subject: Subject| -> Vec<u64> {
            told(&events, &[subject], 2).iter().map(|event| event.window.start_ms).collect()
        };
        assert_eq!(starts(a), [90, 169]);
        assert_eq!(starts(b), [90, 169, 120]);
    }
}
