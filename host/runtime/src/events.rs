//! The host's events, for subscribers.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use haggle_control::{Event, EventKind};
use haggle_model::{Span, Timestamp, escaped};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::broadcast;
use utoipa::ToSchema;

/// An event with its number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NumberedEvent {
    /// The event number. It ascends from 1 at each start of the host.
    pub id: u64,
    /// When the event happened.
    pub at: Timestamp,
    /// The kind of the event.
    pub kind: EventKind,
    /// The service, provider or plugin concerned.
    pub subject: String,
    /// A description for a person.
    pub message: String,
    /// Details for a program.
    pub detail: Value,
}

/// Numbers events, logs them, and sends them to subscribers.
#[derive(Debug)]
pub(crate) struct Events {
    sender: broadcast::Sender<NumberedEvent>,
    last: AtomicU64,
    faults: Mutex<Flood>,
}

/// Number of events kept for slow subscribers.
const BACKLOG: usize = 4096;

/// Maximum number of party faults reported per minute. The next reported one includes the number of omitted
/// ones.
const MOST_FAULTS: u32 = 60;
const MINUTE: Span = Span::from_mins(1);

/// Maximum length of an event message, in bytes.
const MOST_BYTES: usize = 2048;

/// Limits the rate of events about invalid messages.
#[derive(Debug, Default)]
struct Flood {
    since: Timestamp,
    told: u32,
    untold: u64,
}

impl Flood {
    /// Returns the number of faults omitted since the last reported one; `None` if this one is omitted too.
    fn next(&mut self, now: Timestamp) -> Option<u64> {
        if now.since(self.since) >= MINUTE || now < self.since {
            (self.since, self.told) = (now, 0);
        }
        if self.told >= MOST_FAULTS {
            self.untold = self.untold.saturating_add(1);
            return None;
        }
        self.told += 1;
        Some(std::mem::take(&mut self.untold))
    }
}

impl Events {
    pub(crate) fn new() -> Self {
        let sender = broadcast::Sender::new(BACKLOG);
        Self { sender, last: AtomicU64::new(0), faults: Mutex::default() }
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<NumberedEvent> {
        self.sender.subscribe()
    }

    pub(crate) fn emit(&self, event: Event) {
        let Event { at, kind, subject, message, mut detail } = event;
        if kind == EventKind::Fault {
            let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(untold) = faults.next(at) else { return };
            if untold > 0
                && let Some(detail) = detail.as_object_mut()
            {
                detail.insert("untold_before".to_owned(), untold.into());
            }
        }
        // The text may come from a plugin or a party.
        let (subject, message) = (escaped(&subject), escaped(&cut(message)));
        match kind {
            EventKind::Alert | EventKind::Fallback | EventKind::Fault => {
                tracing::warn!(%subject, "{message}");
            }
            EventKind::Negotiation | EventKind::Lease => tracing::debug!(%subject, "{message}"),
            EventKind::Log => log(&subject, &message, &detail),
            _ => tracing::info!(%subject, "{message}"),
        }
        let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        // It is not an error if nobody subscribes.
        drop(self.sender.send(NumberedEvent { id, at, kind, subject, message, detail }));
    }
}

/// Logs a plugin's log line at its own level.
fn log(subject: &str, message: &str, detail: &Value) {
    match detail.get("level").and_then(Value::as_str) {
        Some("error") => tracing::error!(plugin = subject, "{message}"),
        Some("warn") => tracing::warn!(plugin = subject, "{message}"),
        Some("info") => tracing::info!(plugin = subject, "{message}"),
        _ => tracing::debug!(plugin = subject, "{message}"),
    }
}

fn cut(mut message: String) -> String {
    if message.len() > MOST_BYTES {
        let mut end = MOST_BYTES;
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests {
    use super::{Flood, MOST_FAULTS, Timestamp};

    #[test]
    fn a_flood_is_counted_and_not_told() {
        let mut faults = Flood::default();
        let mut told = |at: u64| faults.next(Timestamp::from_millis(at));
        let heard = (0..1000).filter(|n| told(100_000 + n).is_some()).count();
        assert_eq!(heard, MOST_FAULTS as usize);
        assert_eq!(told(159_999), None);
        assert_eq!(told(160_000), Some(1001 - u64::from(MOST_FAULTS)));
        assert_eq!(told(160_001), Some(0));
    }
}
