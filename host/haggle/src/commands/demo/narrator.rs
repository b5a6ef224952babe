//! Tells what happens, a line each, for a person to read along.

use haggle_model::Timestamp;
use haggle_server::{Event, EventKind, Host};
use tokio::sync::broadcast::{Receiver, error::TryRecvError};

use super::forecasts;

/// Listens to a host.
pub(super) struct Narrator {
    events: Receiver<Event>,
    turns: usize,
}

/// A forecast is told every so many turns.
const FORECAST_EVERY: usize = 6;

/// What a line can be of reads well; an event that says more can be had whole from the API.
const LONGEST: usize = 220;

impl Narrator {
    pub(super) fn new(events: Receiver<Event>) -> Self {
        Self { events, turns: 0 }
    }

    /// What there is to tell of the last turn.
    pub(super) fn lines(&mut self, host: &Host, now: Timestamp) -> Vec<String> {
        let mut lines = Vec::new();
        if self.turns.is_multiple_of(FORECAST_EVERY) {
            lines.extend(self.forecast(host, now));
        }
        self.turns += 1;
        let mut events = Vec::new();
        loop {
            match self.events.try_recv() {
                Ok(event) => events.push(event),
                Err(TryRecvError::Lagged(missed)) => {
                    lines.push(line(now, "...", "", &format!("{missed} events were not told")));
                }
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        let told = events.iter().filter(|event| matters(event, &events));
        lines.extend(told.filter_map(told_as_line));
        lines
    }

    /// The forecast of one service, another each time.
    fn forecast(&self, host: &Host, now: Timestamp) -> Option<String> {
        let services = host.services();
        let view = services.get((self.turns / FORECAST_EVERY) % services.len().max(1))?;
        let forecast = host.forecast(&view.service.name).ok()?;
        let text = forecasts::told(&forecast, view.status.observed);
        Some(line(now, "forecast", view.service.name.as_str(), &text))
    }
}

fn told_as_line(event: &Event) -> Option<String> {
    let what = match event.kind {
        EventKind::Decision => "scale",
        EventKind::Negotiation => "negotiate",
        EventKind::Alert => "alert",
        EventKind::Tier => "tier",
        EventKind::Risk => "risk",
        EventKind::Plugin => "plugin",
        EventKind::Fallback => "fallback",
        EventKind::Catalog => "catalog",
        // What a plugin notes and which lease runs out would drown the rest.
        _ => return None,
    };
    Some(line(event.at, what, &event.subject, &event.message))
}

/// A negotiation that got all it asked for is told where something was scaled by it; most only renew what
/// was agreed already.
fn matters(event: &Event, all: &[Event]) -> bool {
    let id = &event.detail["negotiation"];
    let won = event.kind == EventKind::Negotiation && event.detail["outcome"] == "won";
    let scaled =
        |other: &Event| other.kind == EventKind::Decision && other.detail["negotiation"] == *id;
    !won || all.iter().any(scaled)
}

fn line(at: Timestamp, what: &str, subject: &str, text: &str) -> String {
    let time = at.to_string();
    let clock = time.get(11..16).unwrap_or_default();
    let mut text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if let Some((cut, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(cut);
        text.push_str("...");
    }
    format!("{clock}  {what:<10} {subject:<16} {text}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, line, matters, told_as_line};
    use haggle_model::Timestamp;
    use haggle_server::{Event, EventKind};

    fn event(kind: EventKind, message: &str) -> Event {
        Event {
            id: 1,
            at: Timestamp::from_millis(45_000_000),
            kind,
            subject: "web".to_owned(),
            message: message.to_owned(),
            detail: serde_json::Value::Null,
        }
    }

    #[test]
    fn an_event_is_one_line_without_control_characters() {
        let text = told_as_line(&event(EventKind::Decision, "2 -> 3 replicas:\n\u{1b}[31mgrowth"))
            .unwrap();
        assert_eq!(text, "12:30  scale      web              2 -> 3 replicas:  [31mgrowth");
        assert_eq!(told_as_line(&event(EventKind::Lease, "over")), None);
    }

    #[test]
    fn a_renewal_is_not_worth_a_line() {
        let mut renewal = event(EventKind::Negotiation, "web carries as much as before");
        renewal.detail = serde_json::json!({ "negotiation": "h-1", "outcome": "won" });
        assert!(!matters(&renewal, &[renewal.clone()]));
        let mut scaled = event(EventKind::Decision, "2 -> 3 replicas");
        scaled.detail = serde_json::json!({ "negotiation": "h-1" });
        assert!(matters(&renewal, &[renewal.clone(), scaled.clone()]));
        assert!(matters(&scaled, &[]));
        renewal.detail["outcome"] = "reduced".into();
        assert!(matters(&renewal, &[]));
    }

    #[test]
    fn a_long_text_is_cut() {
        let text = line(Timestamp::from_millis(0), "alert", "web", &"ä".repeat(1000));
        assert!(text.ends_with("ä...") && text.chars().count() < LONGEST + 50, "{text}");
    }
}
