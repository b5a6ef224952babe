use std::sync::atomic::{AtomicU64, Ordering};

use haggle_model::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::broadcast;

/// Something that happened, for whoever listens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Event {
    /// Ascending since the host started.
    pub id: u64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
    /// To whom: a service, plugin or provider.
    pub subject: String,
    /// For a person to read.
    pub message: String,
    /// For a machine to read.
    pub detail: Value,
}

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// A service was scaled.
    Decision,
    /// A negotiation ended.
    Negotiation,
    /// A negotiation failed that the service needed.
    Alert,
    /// A tier was assigned.
    Tier,
    /// A failure is likely.
    Risk,
    /// A plugin was loaded, rolled back or deleted.
    Plugin,
    /// A plugin did not answer, and another decided.
    Fallback,
    /// A plugin left a line.
    Log,
    /// A service, dependency, provider, policy or event of the calendar was changed.
    Catalog,
    /// A lease ended by itself.
    Lease,
    /// A party of a negotiation said what makes no sense, or nothing; it changed nothing, or counted as a
    /// refusal.
    Fault,
}

impl EventKind {
    /// The name in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Decision => "decision",
            Self::Negotiation => "negotiation",
            Self::Alert => "alert",
            Self::Tier => "tier",
            Self::Risk => "risk",
            Self::Plugin => "plugin",
            Self::Fallback => "fallback",
            Self::Log => "log",
            Self::Catalog => "catalog",
            Self::Lease => "lease",
            Self::Fault => "fault",
        }
    }
}

/// Spreads events. Whoever reads too slowly misses the oldest.
#[derive(Debug)]
pub(crate) struct Events {
    sender: broadcast::Sender<Event>,
    last: AtomicU64,
}

/// How many events a slow reader may be behind.
const BACKLOG: usize = 4096;

impl Events {
    pub(crate) fn new() -> Self {
        Self { sender: broadcast::Sender::new(BACKLOG), last: AtomicU64::new(0) }
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.sender.subscribe()
    }

    pub(crate) fn emit(
        &self,
        at: Timestamp,
        kind: EventKind,
        subject: &str,
        message: String,
        detail: Value,
    ) {
        let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let subject = subject.to_owned();
        match kind {
            EventKind::Alert | EventKind::Fallback | EventKind::Fault => {
                tracing::warn!(%subject, "{message}")
            }
            EventKind::Log | EventKind::Negotiation => tracing::debug!(%subject, "{message}"),
            _ => tracing::info!(%subject, "{message}"),
        }
        // Nobody listening is no error.
        drop(self.sender.send(Event { id, at, kind, subject, message, detail }));
    }
}
