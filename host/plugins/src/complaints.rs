//! Plugin errors: the last one of each plugin, and when to emit another event.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use haggle_model::{Name, Timestamp};
use serde::Serialize;

use crate::registry::Who;

/// Minimum time between two events about the same function of the same generation.
const PAUSE: Duration = Duration::from_secs(60);

/// Maximum length of a stored or forwarded message, in bytes.
pub(crate) const MOST_TEXT: usize = 1 << 10;

/// The last error of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastError {
    /// When the call was made.
    pub at: Timestamp,
    /// The generation that failed.
    pub generation: u64,
    /// The function that was called, such as `forecasting.forecast`.
    pub function: &'static str,
    /// The error message, at most 1 KiB.
    pub message: String,
}

#[derive(Debug, Default)]
pub(crate) struct Complaints(Mutex<BTreeMap<Name, OfPlugin>>);

#[derive(Debug, Default)]
struct OfPlugin {
    last: Option<LastError>,
    /// By generation and function: the time of the last event, and the number of errors since.
    said: BTreeMap<(u64, &'static str), (Duration, u64)>,
}

impl Complaints {
    /// Records an error. If another event is due, returns the number of errors since the last event about the
    /// same function.
    pub(crate) fn note(
        &self,
        by: &Who,
        function: &'static str,
        at: Timestamp,
        message: &str,
        now: Duration,
    ) -> Option<u64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = all.entry(by.plugin.clone()).or_default();
        let generation = by.generation;
        of.last = Some(LastError { at, generation, function, message: cut(message.to_owned()) });
        // Retired generations are no longer called.
        of.said.retain(|(number, _), (said, _)| {
            *number == generation || now.saturating_sub(*said) < PAUSE
        });
        match of.said.get_mut(&(generation, function)) {
            Some((said, unsaid)) if now.saturating_sub(*said) < PAUSE => {
                *unsaid += 1;
                None
            }
            Some((said, unsaid)) => {
                *said = now;
                Some(std::mem::take(unsaid))
            }
            None => {
                of.said.insert((generation, function), (now, 0));
                Some(0)
            }
        }
    }

    pub(crate) fn last(&self, plugin: &Name) -> Option<LastError> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(plugin)?.last.clone()
    }

    pub(crate) fn forget(&self, plugin: &Name) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(plugin);
    }
}

/// Truncates a text to 1 KiB.
#[must_use]
pub fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MOST_TEXT));
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use haggle_model::{Name, Timestamp};
    use haggle_sandbox::Digest;

    use super::{Complaints, cut};
    use crate::Who;

    #[test]
    fn the_last_error_is_kept_and_events_are_at_most_one_a_minute() {
        let complaints = Complaints::default();
        let plugin = Name::new("p").unwrap();
        let by = Who { plugin: plugin.clone(), generation: 2, digest: Digest::of(b"") };
        let note = |function, message: &str, seconds| {
            let at = Timestamp::from_millis(seconds * 1000);
            complaints.note(&by, function, at, message, Duration::from_secs(seconds))
        };
        assert_eq!(note("fit", "first", 0), Some(0));
        assert_eq!(note("forecast", "other", 1), Some(0));
        assert_eq!(note("fit", "second", 30), None);
        assert_eq!(note("fit", "third", 59), None);
        assert_eq!(note("fit", "fourth", 60), Some(2));
        let last = complaints.last(&plugin).unwrap();
        assert_eq!((last.generation, last.function, last.message.as_str()), (2, "fit", "fourth"));
        assert_eq!(last.at, Timestamp::from_millis(60_000));
        complaints.forget(&plugin);
        assert_eq!(complaints.last(&plugin), None);
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        let text = cut("ä".repeat(1000));
        assert_eq!((text.len(), text.chars().count()), (1024, 512));
        assert_eq!(cut("a".to_owned() + &"ä".repeat(1000)).len(), 1023);
    }
}
