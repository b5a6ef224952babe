//! The durable records. Each record is written as a whole under its own key. All records of a step become
//! durable together.

use std::sync::Arc;

use haggle_model::{
    CalendarEvent, Decision, DependencyDocument, Lease, LeaseId, Name, Provider, ScalingPolicy,
    Service, Timestamp,
};
use haggle_negotiate::{Demand, SessionRecord, Transcript};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{request::Request, service::StoredService, verdict::ScalingVerdict};

/// A change of the durable records.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Adds a record or replaces the record with the same key.
    Put(Record),
    /// Deletes a record; does nothing if the record does not exist.
    Delete(Key),
    /// Appends a decision to the log. Its sequence must match its position in the log.
    Append(Decision),
}

/// A durable record.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A service as it was described.
    Service(Arc<Service>),
    /// A dependency as it was described.
    Dependency(DependencyDocument),
    /// A provider as it was described.
    Provider(Arc<Provider>),
    /// A scaling policy as it was described.
    Policy(Arc<ScalingPolicy>),
    /// A calendar event as it was described.
    Event(Arc<CalendarEvent>),
    /// A confirmed lease.
    Lease(Lease),
    /// The decided state of a service.
    State(Name, Box<StoredService>),
    /// A scaling request that is not over.
    Request(Arc<Request>),
    /// An agreement whose parties have not all been notified.
    Session(Box<SessionRecord>),
    /// The announced reclaims of one unit kind of a provider.
    Reclaim(Name, Name, Vec<Reclaim>),
    /// A generation of a plugin.
    Plugin(Arc<Generation>),
    /// The course of a negotiation. A restart does not read it.
    Negotiation(Box<NegotiationRecord>),
    /// The numbers up to this one may be in use for negotiations and requests.
    Numbers(u64),
}

/// The key of a [`Record`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// By name.
    Service(Name),
    /// By dependent and dependency.
    Dependency(Name, Name),
    /// By name.
    Provider(Name),
    /// By name.
    Policy(Name),
    /// By name.
    Event(Name),
    /// By id.
    Lease(LeaseId),
    /// By service.
    State(Name),
    /// By id.
    Request(String),
    /// By id.
    Session(String),
    /// By provider and unit.
    Reclaim(Name, Name),
    /// By plugin and number.
    Plugin(Name, u64),
    /// By id.
    Negotiation(String),
    /// The only key of its kind.
    Numbers,
}

/// The course of a negotiation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NegotiationRecord {
    /// The id of the negotiation.
    pub id: String,
    /// The time at which it ended.
    pub at: Timestamp,
    /// `approved`, `reduced` or `denied`.
    pub outcome: String,
    /// The demand.
    pub demand: Demand,
    /// The number of rounds.
    pub rounds: u32,
    /// The verdict for the requester.
    pub verdict: ScalingVerdict,
    /// The messages.
    pub transcript: Transcript,
}

/// One upload of a plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Generation {
    /// The plugin.
    pub plugin: Name,
    /// The generation number; it ascends with every upload of the plugin, from 1.
    pub number: u64,
    /// SHA-256 of the component, in hexadecimal.
    pub digest: String,
    /// Size of the component in bytes.
    pub size: u64,
    /// The time of the upload.
    pub loaded_at: Timestamp,
    /// The roles that it exports.
    pub roles: Vec<String>,
    /// The configuration that every call receives.
    #[serde(default)]
    pub configuration: Value,
    /// Directories that the operator granted, as (guest path, host path).
    #[serde(default)]
    pub granted: Vec<(String, String)>,
    /// Whether it is active.
    pub status: GenerationStatus,
}

/// The status of a plugin generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GenerationStatus {
    /// The active generation.
    Active,
    /// The previously active generation; a rollback returns to it.
    Previous,
    /// An earlier generation. Its record prevents the reuse of its number.
    Retired,
}

/// A number of units that are gone from a time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reclaim {
    /// The number of units.
    pub count: u32,
    /// The time.
    pub at: Timestamp,
}

impl Record {
    /// The key of the record.
    #[must_use]
    pub fn key(&self) -> Key {
        match self {
            Self::Service(service) => Key::Service(service.name.clone()),
            Self::Dependency(dependency) => {
                Key::Dependency(dependency.from.clone(), dependency.to.clone())
            }
            Self::Provider(provider) => Key::Provider(provider.name.clone()),
            Self::Policy(policy) => Key::Policy(policy.name.clone()),
            Self::Event(event) => Key::Event(event.name.clone()),
            Self::Lease(lease) => Key::Lease(lease.id.clone()),
            Self::State(service, _) => Key::State(service.clone()),
            Self::Request(request) => Key::Request(request.id.clone()),
            Self::Session(session) => Key::Session(session.session.clone()),
            Self::Reclaim(provider, unit, _) => Key::Reclaim(provider.clone(), unit.clone()),
            Self::Plugin(generation) => Key::Plugin(generation.plugin.clone(), generation.number),
            Self::Negotiation(record) => Key::Negotiation(record.id.clone()),
            Self::Numbers(_) => Key::Numbers,
        }
    }
}
