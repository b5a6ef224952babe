use serde::{Deserialize, Serialize};

use crate::{Name, Span, Timestamp, Window};

/// Something known that changes demand, past or ahead. A forecaster learns its effect from the times that
/// have been, and expects it at those to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CalendarEvent {
    /// Its name. It is taken to have the same effect every time.
    pub name: Name,
    /// What it is.
    pub event: EventKind,
    /// The services whose demand it changes; all of them where none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Name>,
    /// When it takes place: once or several times, in any order.
    pub times: Vec<EventTime>,
}

/// What an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CalendarEventKind)]
pub enum EventKind {
    /// Visitors are called.
    Campaign,
    /// Data is copied away.
    Backup,
    /// Another version is brought out.
    Release,
    /// Something has failed.
    Incident,
    /// People do not work as usual.
    Holiday,
    /// Anything else.
    Other,
}

/// One time that an event takes place: its start, and either its end or how long it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EventTime {
    /// When it begins.
    pub start: Timestamp,
    /// When it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// How long it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
}

/// Why an event is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// It never takes place, or too often.
    #[error("event {name}: times has {count} entries: give 1 to {most}", most = CalendarEvent::MOST_TIMES)]
    Times {
        /// The event.
        name: Name,
        /// How many were given.
        count: usize,
    },
    /// The end of one time is unclear.
    #[error(
        "event {name}: the time that starts at {start} must have either an `end` or a `duration`"
    )]
    End {
        /// The event.
        name: Name,
        /// When it starts.
        start: Timestamp,
    },
    /// It is over before it begins.
    #[error("event {name}: the time that starts at {start} ends at {end}: it must end later")]
    Empty {
        /// The event.
        name: Name,
        /// When it starts.
        start: Timestamp,
        /// When it ends.
        end: Timestamp,
    },
    /// It takes too long.
    #[error("event {name}: the time that starts at {start} takes {length}: it may take at most {most}", most = Span::LONGEST)]
    TooLong {
        /// The event.
        name: Name,
        /// When it starts.
        start: Timestamp,
        /// How long it takes.
        length: Span,
    },
}

impl CalendarEvent {
    /// An event takes place so many times at most; what is over can be left out.
    pub const MOST_TIMES: usize = 1000;

    /// Checks what the types alone do not.
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

    /// Whether it changes the demand of that service.
    #[must_use]
    pub fn concerns(&self, service: &str) -> bool {
        self.services.is_empty() || self.services.iter().any(|named| named.as_str() == service)
    }

    /// Its times, as windows.
    pub fn windows(&self) -> impl Iterator<Item = Window> {
        self.times.iter().map(EventTime::window)
    }

    /// When the last of its times is over.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        self.windows().map(|window| window.end).max().unwrap_or_default()
    }
}

impl EventTime {
    /// From its start to its end. It is empty where neither an end nor a duration is given.
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
        let twice = event(r#"[{"start": 5, "end": 7, "duration": 2}]"#).validate();
        assert!(matches!(twice, Err(CalendarError::End { .. })), "{twice:?}");
        let long = event(r#"[{"start": 5, "end": "2026-01-01T00:00:00Z"}]"#).validate();
        assert!(long.unwrap_err().to_string().contains("at most 3650d"));
        let error = event(r#"[{"start": 1, "end": 9}, {"start": 7, "end": 7}]"#).validate();
        let text = error.unwrap_err().to_string();
        assert!(text.contains("event sale") && text.contains("1970-01-01T00:00:00.007Z"), "{text}");
    }

    #[test]
    fn concerns_those_it_names_or_everybody() {
        let mut sale = event(r#"[{"start": 1, "end": 9}]"#);
        assert!(sale.concerns("web"));
        sale.services = vec!["cart".parse().unwrap()];
        assert!(!sale.concerns("web") && sale.concerns("cart"));
    }
}
