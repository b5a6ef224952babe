//! Narrates events, one line each, for a person.

use std::collections::BTreeMap;

use haggle_control::EventKind;
use haggle_model::Timestamp;
use haggle_runtime::{Host, NumberedEvent};
use tokio::sync::broadcast::{Receiver, error::TryRecvError};

use super::forecasts;

/// Follows a host's events.
pub(super) struct Narrator {
    events: Receiver<NumberedEvent>,
    passes: usize,
    /// For each subject, the last narrated text without its numbers, and its pass.
    told: BTreeMap<String, (String, usize)>,
}

/// Number of passes between two forecasts in the narration.
const FORECAST_EVERY: usize = 6;

/// Number of passes after which a negotiation that differs only in numbers is narrated again.
const REPEAT_AFTER: usize = 15;

/// Maximum line width, in columns. Texts wrap to fit a terminal of this width.
const COLUMNS: usize = 100;

/// Column at which the text of a line begins.
const INDENT: usize = 35;

/// Maximum number of lines of one event. The API has the full text.
const MOST_LINES: usize = 8;

impl Narrator {
    pub(super) fn new(events: Receiver<NumberedEvent>) -> Self {
        Self { events, passes: 0, told: BTreeMap::new() }
    }

    /// Returns the lines that narrate the last pass.
    pub(super) fn lines(&mut self, host: &Host, now: Timestamp) -> Vec<String> {
        let mut lines = Vec::new();
        if self.passes.is_multiple_of(FORECAST_EVERY) {
            lines.extend(self.forecast(host, now));
        }
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
        for event in events.iter().filter(|event| matters(event, &events)) {
            if self.is_news(event) {
                lines.extend(told_as_line(event));
            }
        }
        self.passes += 1;
        lines
    }

    /// Whether an event is worth narrating. A negotiation or alert must differ from the subject's last one in
    /// more than numbers, because a lasting bottleneck is negotiated at every pass. All other events are
    /// news.
    fn is_news(&mut self, event: &NumberedEvent) -> bool {
        if !matches!(event.kind, EventKind::Negotiation | EventKind::Alert) {
            return true;
        }
        let shape: String =
            event.message.chars().filter(|c| !c.is_ascii_digit() && *c != '.').collect();
        let told = self.told.get(&event.subject);
        if told.is_some_and(|(last, pass)| *last == shape && self.passes - pass < REPEAT_AFTER) {
            return false;
        }
        self.told.insert(event.subject.clone(), (shape, self.passes));
        true
    }

    /// The forecast of one service, a different one each time.
    fn forecast(&self, host: &Host, now: Timestamp) -> Option<String> {
        let state = host.snapshot();
        let count = state.services().count();
        let (service, known) =
            state.services().nth((self.passes / FORECAST_EVERY) % count.max(1))?;
        let observed = known.observed.map(|(_, load)| load);
        let text = forecasts::told(known.forecast.as_ref()?, observed)?;
        Some(line(now, "forecast", service.name.as_str(), &text))
    }
}

fn told_as_line(event: &NumberedEvent) -> Option<String> {
    let what = match event.kind {
        EventKind::Decision => "scale",
        EventKind::Negotiation => "negotiate",
        EventKind::Alert => "alert",
        EventKind::Tier => "tier",
        EventKind::Risk => "risk",
        EventKind::Plugin => "plugin",
        EventKind::Fallback => "fallback",
        EventKind::Catalog => "catalog",
        // Plugin logs and expiring leases would hide the other events.
        _ => return None,
    };
    Some(line(event.at, what, &event.subject, &event.message))
}

/// Whether to narrate an event. A fully approved negotiation matters only if it scaled something, because
/// most of them only renew an agreement.
fn matters(event: &NumberedEvent, all: &[NumberedEvent]) -> bool {
    let id = event.detail.get("negotiation");
    let outcome = event.detail.get("outcome").and_then(serde_json::Value::as_str);
    let won = event.kind == EventKind::Negotiation && outcome == Some("approved");
    let scaled = |other: &NumberedEvent| {
        other.kind == EventKind::Decision && other.detail.get("negotiation") == id
    };
    !won || all.iter().any(scaled)
}

/// Formats an event as one line, continued on further lines if needed.
fn line(at: Timestamp, what: &str, subject: &str, text: &str) -> String {
    let time = at.to_string();
    let clock = time.get(11..16).unwrap_or_default();
    let text = text.replace("requests_per_second", "requests/s");
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let begins = format!("{clock}  {what:<10} {subject:<16} ");
    // A long name shifts the text of the first line; the continuation lines keep their indent.
    let first = COLUMNS.saturating_sub(begins.chars().count()).max(COLUMNS / 4);
    let lines = wrapped(&text, first, COLUMNS - INDENT);
    let below = format!("\n{:INDENT$}", "");
    format!("{begins}{}", lines.join(&below)).trim_end().to_owned()
}

/// Wraps a text at the given widths in characters, between words if possible.
fn wrapped(text: &str, first: usize, others: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = text;
    while lines.len() < MOST_LINES {
        let width = if lines.is_empty() { first } else { others };
        let Some((end, _)) = rest.char_indices().nth(width) else {
            lines.push(rest.to_owned());
            return lines;
        };
        let fits = rest.get(..end).unwrap_or_default();
        let is_end = rest.get(end..).is_some_and(|behind| behind.starts_with(' '));
        let space = fits.rfind(' ').filter(|space| *space > 0 && !is_end);
        let (line, behind) = rest.split_at(space.unwrap_or(end));
        lines.push(line.trim_end().to_owned());
        rest = behind.trim_start();
    }
    if let Some(last) = lines.last_mut().filter(|_| !rest.is_empty()) {
        last.push_str(" ...");
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{
        COLUMNS, MOST_LINES, Narrator, REPEAT_AFTER, line, matters, told_as_line, wrapped,
    };
    use haggle_control::EventKind;
    use haggle_model::Timestamp;
    use haggle_runtime::NumberedEvent;

    fn event(kind: EventKind, message: &str) -> NumberedEvent {
        NumberedEvent {
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
        renewal.detail = serde_json::json!({ "negotiation": "h-1", "outcome": "approved" });
        assert!(!matters(&renewal, &[renewal.clone()]));
        let mut scaled = event(EventKind::Decision, "2 -> 3 replicas");
        scaled.detail = serde_json::json!({ "negotiation": "h-1" });
        assert!(matters(&renewal, &[renewal.clone(), scaled.clone()]));
        assert!(matters(&scaled, &[]));
        renewal.detail["outcome"] = "reduced".into();
        assert!(matters(&renewal, &[]));
    }

    #[test]
    fn a_bottleneck_that_lasts_is_told_now_and_then() {
        let (_sender, events) = tokio::sync::broadcast::channel(1);
        let mut narrator = Narrator::new(events);
        let reduced = |message| event(EventKind::Negotiation, message);
        assert!(narrator.is_news(&reduced("carries 90% of 311.5")));
        assert!(!narrator.is_news(&reduced("carries 85% of 320")));
        assert!(narrator.is_news(&reduced("carries 320")));
        assert!(narrator.is_news(&event(EventKind::Decision, "2 -> 3 replicas")));
        assert!(narrator.is_news(&event(EventKind::Decision, "2 -> 3 replicas")));
        narrator.passes = REPEAT_AFTER;
        assert!(narrator.is_news(&reduced("carries 321")));
    }

    #[test]
    fn a_long_text_is_wrapped_and_nothing_of_it_is_lost() {
        let words: Vec<String> = (0..40).map(|n| format!("word{n}")).collect();
        let text = line(Timestamp::from_millis(0), "alert", "web", &words.join(" "));
        assert!(text.lines().count() > 2, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS), "{text}");
        let told: Vec<&str> = text.split_whitespace().skip(3).collect();
        assert_eq!(told, words);
        // A name of the maximum length still leaves room for the text.
        let text = line(Timestamp::from_millis(0), "alert", &"n".repeat(63), &words.join(" "));
        assert_eq!(text.split_whitespace().skip(3).collect::<Vec<_>>(), words);
    }

    #[test]
    fn a_text_is_broken_between_words_where_there_are_any() {
        assert_eq!(wrapped("", 4, 4), [""]);
        assert_eq!(wrapped("abcd efgh", 4, 4), ["abcd", "efgh"]);
        assert_eq!(wrapped("ab cd efg", 4, 6), ["ab", "cd efg"]);
        assert_eq!(wrapped("äbcdefgh", 3, 4), ["äbc", "defg", "h"]);
        let endless = wrapped(&"ä".repeat(1000), 10, 10);
        assert_eq!(endless.len(), MOST_LINES);
        assert!(endless.last().is_some_and(|last| last.ends_with("...")));
    }
}
