//! Splits the series into calls.

use haggle_model::CalendarEvent;

use super::{events::concern_alike, subject::Subject};

/// Maximum number of values in one call: 64 MB in the guest, a quarter of its memory limit here, and as much
/// again during the copy.
const MOST_VALUES: usize = 8_000_000;

/// Splits the series, in order, into batches of at most `count` series that fit into one call, counting the
/// forecasts. All series of a batch have the same events.
pub(in crate::commands) fn batches<'a>(
    subjects: &'a [Subject],
    count: usize,
    horizon: u32,
    events: &[CalendarEvent],
) -> Vec<&'a [Subject]> {
    let mut batches = Vec::new();
    let mut rest = subjects;
    while let Some(first) = rest.first() {
        let mut values = 0_usize;
        let fitting = rest.iter().take(count.max(1)).take_while(|subject| {
            // Each step has a mean and the two bounds of two intervals.
            values = values.saturating_add(subject.series.values.len() + 5 * horizon as usize);
            values <= MOST_VALUES && concern_alike(events, first, subject)
        });
        // A series that exceeds the limit becomes a batch of its own.
        let (batch, others) = rest.split_at(fitting.count().max(1));
        batches.push(batch);
        rest = others;
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::{MOST_VALUES, Subject, batches};
    use haggle_model::{Series, Span, Timestamp};

    fn subject(values: usize) -> Subject {
        let (start, step) = (Timestamp::from_millis(0), Span::from_mins(1));
        Subject::new((values.to_string(), Series { start, step, values: vec![1.0; values] }))
    }

    #[test]
    fn a_batch_is_bounded_in_series_and_in_values() {
        let sizes = |subjects: &[Subject], count| -> Vec<usize> {
            batches(subjects, count, 10, &[]).into_iter().map(<[Subject]>::len).collect()
        };
        let small: Vec<Subject> = (0..10).map(|_| subject(3)).collect();
        assert_eq!(sizes(&small, 4), [4, 4, 2]);
        let large = [subject(3), subject(MOST_VALUES + 1), subject(MOST_VALUES / 2), subject(3)];
        assert_eq!(sizes(&large, 4), [1, 1, 2]);
        assert!(sizes(&[], 4).is_empty());
    }

    #[test]
    fn series_that_other_events_concern_are_apart() {
        let sale = r#"{"name": "sale", "event": "campaign", "services": ["7", "8"],
            "times": [{"start": 0, "duration": "1h"}]}"#;
        let sale = serde_json::from_str(sale).unwrap();
        let subjects = [subject(5), subject(6), subject(7), subject(8), subject(9)];
        let batches = batches(&subjects, 4, 10, &[sale]);
        assert_eq!(batches.into_iter().map(<[Subject]>::len).collect::<Vec<_>>(), [2, 2, 1]);
    }
}
