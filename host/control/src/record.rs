//! What outlives the process. Each record is written as a whole under its own key, and all records of a
//! step become durable together.

use std::sync::Arc;

use haggle_model::{
    CalendarEvent, Decision, DependencyDocument, Lease, LeaseId, Name, Provider, ScalingPolicy,
    Service, Timestamp,
};
use haggle_negotiate::{Demand, Outcome, SessionRecord, Transcript};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{request::Request, service::StoredService, verdict::ScalingVerdict};

/// A change of what is durable.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Adds a record or replaces the one with its key.
    Put(Record),
    /// Deletes a record; nothing happens where there is none.
    Delete(Key),
    /// Appends a decision to the log. Its sequence is its place there: the log must agree.
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
    /// A lease that is confirmed.
    Lease(Lease),
    /// What was decided for a service.
    State(Name, Box<StoredService>),
    /// A scaling request that is not over.
    Request(Arc<Request>),
    /// An agreement whose parties have yet to be told.
    Session(Box<SessionRecord>),
    /// What a provider takes back of one kind of unit.
    Reclaim(Name, Name, Vec<Reclaim>),
    /// A generation of a plugin.
    Plugin(Arc<Generation>),
    /// How a negotiation went. It is not read at a restart.
    Negotiation(Box<NegotiationRecord>),
    /// Numbers up to this one may have been given to negotiations and requests.
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
    /// There is one.
    Numbers,
}

/// How a negotiation went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NegotiationRecord {
    /// Its id.
    pub id: String,
    /// When it ended.
    pub at: Timestamp,
    /// `approved`, `reduced` or `denied`.
    pub outcome: String,
    /// What was wanted.
    pub demand: Demand,
    /// What came of it.
    pub result: Outcome,
    /// What that means for its requester.
    pub verdict: ScalingVerdict,
    /// What was said.
    pub transcript: Transcript,
}

/// One upload of a plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Generation {
    /// The plugin.
    pub plugin: Name,
    /// Ascends with every upload of the same plugin, from 1.
    pub number: u64,
    /// SHA-256 of the component, in hexadecimal.
    pub digest: String,
    /// Size of the component in bytes.
    pub size: u64,
    /// When it was uploaded.
    pub loaded_at: Timestamp,
    /// The roles that it exports.
    pub roles: Vec<String>,
    /// What every call passes to it.
    #[serde(default)]
    pub configuration: Value,
    /// Directories that the operator granted: (guest path, host path).
    #[serde(default)]
    pub granted: Vec<(String, String)>,
    /// Whether it decides.
    pub status: GenerationStatus,
}

/// Whether a plugin generation decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GenerationStatus {
    /// It decides.
    Active,
    /// It decided before, and a rollback returns to it.
    Previous,
    /// It decided once. The record keeps its number from being given again.
    Retired,
}

/// So many units are gone from a time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reclaim {
    /// How many.
    pub count: u32,
    /// From when on.
    pub at: Timestamp,
}

impl Record {
    /// The key under which it is kept.
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
