use serde::{Deserialize, Serialize};

use crate::{Name, Span, Timestamp, Window};

/// A known event that changes demand, in the past or the future. A forecaster learns its effect from past
/// occurrences and expects the same effect at future ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CalendarEvent {
    /// The name. All occurrences are assumed to have the same effect.
    pub name: Name,
    /// The kind of the event.
    pub event: EventKind,
    /// The services whose demand it changes; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Name>,
    /// The occurrences: at least one, in any order.
    pub times: Vec<EventTime>,
}

/// The kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CalendarEventKind)]
pub enum EventKind {
    /// A campaign that attracts visitors.
    Campaign,
    /// A backup.
    Backup,
    /// A release of a new version.
    Release,
    /// A failure.
    Incident,
    /// A time with unusual working hours.
    Holiday,
    /// Any other event.
    Other,
}

/// One occurrence of an event: its start, and either its end or its duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EventTime {
    /// The start.
    pub start: Timestamp,
    /// The end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// The duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
}

/// The reasons for which an event is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// The event has no occurrences, or too many.
    #[error("event {name}: times has {count} entries: give 1 to {most}", most = CalendarEvent::MOST_TIMES)]
    Times {
        /// The event.
        name: Name,
        /// The given number.
        count: usize,
    },
    /// An occurrence has neither an end nor a duration, or both.
    #[error(
        "event {name}: the time that starts at {start} must have either an `end` or a `duration`"
    )]
    End {
        /// The event.
        name: Name,
        /// The start.
        start: Timestamp,
    },
    /// An occurrence ends before it starts.
    #[error("event {name}: the time that starts at {start} ends at {end}: it must end later")]
    Empty {
        /// The event.
        name: Name,
        /// The start.
        start: Timestamp,
        /// The end.
        end: Timestamp,
    },
    /// An occurrence is too long.
    #[error("event {name}: the time that starts at {start} takes {length}: it may take at most {most}", most = Span::LONGEST)]
    TooLong {
        /// The event.
        name: Name,
        /// The start.
        start: Timestamp,
        /// The length.
        length: Span,
    },
}

impl CalendarEvent {
    /// The maximum number of occurrences. Past ones can be removed.
    pub const MOST_TIMES: usize = 1000;

    /// Validates the rules that the types do not enforce.
    ///
    /// # Errors
    /// [`CalendarError`] naming the field.
    pub fn validate(&self) -> Result<(), CalendarError> {
        let name = || self.name.clone();
        if self.times.is_empty() || self.times.len() > Self::MOST_TIMES {
            return Err(CalendarError::Times { name: name(), count: self.times.len() });
        }
        for time in &self.times {
            if time.end.is_some() == time.duration.is_some() {
                return Err(CalendarError::End { name: name(), start: time.start });
            }
            let Window { start, end } = time.window();
            if end <= start {
                return Err(CalendarError::Empty { name: name(), start, end });
            }
            let length = time.duration.unwrap_or_else(|| end.since(start));
            if length > Span::LONGEST {
                return Err(CalendarError::TooLong { name: name(), start, length });
            }
        }
        Ok(())
    }

    /// Whether the event changes the demand of that service.
    #[must_use]
    pub fn concerns(&self, service: &str) -> bool {
        self.services.is_empty() || self.services.iter().any(|named| named.as_str() == service)
    }

    /// The occurrences as windows.
    pub fn windows(&self) -> impl Iterator<Item = Window> {
        self.times.iter().map(EventTime::window)
    }

    /// The end of the last occurrence.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        self.windows().map(|window| window.end).max().unwrap_or_default()
    }
}

impl EventTime {
    /// The window from start to end. It is empty if neither an end nor a duration is given.
    #[must_use]
    pub fn window(&self) -> Window {
        let length = self.duration.unwrap_or_default();
        Window { start: self.start, end: self.end.unwrap_or(self.start + length) }
    }
}

#[cfg(test)]
mod tests {
    use super::{CalendarError, CalendarEvent};
    use crate::Window;

    fn event(times: &str) -> CalendarEvent {
        let json = format!(r#"{{"name": "sale", "event": "campaign", "times": {times}}}"#);
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn an_end_and_a_duration_say_the_same() {
        let sale = event(
            r#"[{"start": "2026-03-01T08:00:00Z", "end": "2026-03-02T08:00:00Z"},
                {"start": "2026-03-01T08:00:00Z", "duration": "1d"}]"#,
        );
        assert_eq!(sale.validate(), Ok(()));
        let windows: Vec<Window> = sale.windows().collect();
        assert_eq!(windows[0], windows[1]);
        assert_eq!(sale.end(), windows[0].end);
        let again: CalendarEvent =
            serde_json::from_str(&serde_json::to_string(&sale).unwrap()).unwrap();
        assert_eq!(again, sale);
    }

    #[test]
    fn says_which_time_is_wrong() {
        assert!(matches!(event("[]").validate(), Err(CalendarError::Times { count: 0, .. })));
        let unclear = event(r#"[{"start": 5}]"#).validate();
        assert!(matches!(unclear, Err(CalendarError::End { .. })), "{unclear:?}");
        let twice = event(r#"[{"start": 5, "end": 7, "duration": "2s"}]"#).validate();
        assert!(matches!(twice, Err(CalendarError::End { .. })), "{twice:?}");
        let long = event(r#"[{"start": 5, "end": "2026-01-01T00:00:00Z"}]"#).validate();
        assert!(long.unwrap_err().to_string().contains("at most 3650d"));
        let error = event(r#"[{"start": 1, "end": 9}, {"start": 7, "end": 7}]"#).validate();
        let text = error.unwrap_err().to_string();
        assert!(text.contains("event sale") && text.contains("1970-01-01T00:00:07Z"), "{text}");
    }

    #[test]
    fn concerns_those_it_names_or_everybody() {
        let mut sale = event(r#"[{"start": 1, "end": 9}]"#);
        assert!(sale.concerns("web"));
        sale.services = vec!["cart".parse().unwrap()];
        assert!(!sale.concerns("web") && sale.concerns("cart"));
    }
}
