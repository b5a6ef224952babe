use haggle_model::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Something that happened in the host, for whoever watches it.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// Of which kind.
    pub kind: EventKind,
    /// The service, provider or plugin that it is about.
    pub subject: String,
    /// A sentence for a person.
    pub message: String,
    /// More of it for a program.
    pub detail: Value,
}

/// Of which kind an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// A service is scaled.
    Decision,
    /// A negotiation ended.
    Negotiation,
    /// Something needs an operator's attention.
    Alert,
    /// A service changed its tier.
    Tier,
    /// A service is likely to fail soon.
    Risk,
    /// Another generation of a plugin decides.
    Plugin,
    /// A plugin failed and another decided in its place.
    Fallback,
    /// A plugin logged something.
    Log,
    /// A document changed.
    Catalog,
    /// A lease ended.
    Lease,
    /// A party said something that makes no sense.
    Fault,
}

impl EventKind {
    /// Its name, as in JSON.
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
