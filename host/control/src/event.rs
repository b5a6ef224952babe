use haggle_model::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Something that happened in the host, for watchers.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The time of the event.
    pub at: Timestamp,
    /// The kind of the event.
    pub kind: EventKind,
    /// The service, provider or plugin that the event is about.
    pub subject: String,
    /// A sentence for a person.
    pub message: String,
    /// Machine-readable details.
    pub detail: Value,
}

/// The kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// A service was scaled.
    Decision,
    /// A negotiation ended.
    Negotiation,
    /// Something needs an operator's attention.
    Alert,
    /// The tier of a service changed.
    Tier,
    /// A service is likely to fail soon.
    Risk,
    /// The active generation of a plugin changed.
    Plugin,
    /// A plugin failed and a fallback decided in its place.
    Fallback,
    /// A plugin logged a message.
    Log,
    /// A document changed.
    Catalog,
    /// A lease ended.
    Lease,
    /// A party broke the protocol.
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
