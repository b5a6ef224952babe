//! The records of the store.

use haggle_model::{
    CalendarEvent, Decision, Dependency, Lease, LeaseId, Name, Provider, ScalingPolicy, Service,
    Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Digest, Encoding, Kind, Log, bytes, log::Numbered};

/// Services by name.
pub enum Services {}

impl Kind for Services {
    const TAG: u8 = 0x10;
    const NAME: &'static str = "service";
    type Key = Name;
    type Value = Service;
}

/// Dependencies by dependent and dependency.
pub enum Dependencies {}

impl Kind for Dependencies {
    const TAG: u8 = 0x11;
    const NAME: &'static str = "dependency";
    type Key = (Name, Name);
    type Value = Dependency;
}

/// Providers by name.
pub enum Providers {}

impl Kind for Providers {
    const TAG: u8 = 0x12;
    const NAME: &'static str = "provider";
    type Key = Name;
    type Value = Provider;
}

/// Scaling policies by name.
pub enum Policies {}

impl Kind for Policies {
    const TAG: u8 = 0x13;
    const NAME: &'static str = "policy";
    type Key = Name;
    type Value = ScalingPolicy;
}

/// Plugin generations by plugin and number.
pub enum Plugins {}

impl Kind for Plugins {
    const TAG: u8 = 0x14;
    const NAME: &'static str = "plugin generation";
    type Key = (Name, u64);
    type Value = PluginGeneration;
}

/// One generation of a plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PluginGeneration {
    /// The plugin.
    pub plugin: Name,
    /// Increases with every upload of the same plugin.
    pub generation: u64,
    /// The digest of the component, whose bytes are among the artefacts.
    pub digest: Digest,
    /// The size of the component, in bytes.
    pub size: u64,
    /// When it was uploaded.
    pub loaded_at: Timestamp,
    /// The roles that it exports.
    pub roles: Vec<String>,
    /// The configuration that every call passes to the plugin.
    #[serde(default)]
    pub configuration: Value,
    /// Whether the generation is active.
    pub status: GenerationStatus,
    /// Directories that the operator granted to it.
    #[serde(default)]
    pub granted: Vec<GrantedDirectory>,
}

/// A directory that a plugin may access.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantedDirectory {
    /// The path in the guest.
    pub guest: String,
    /// The path on the host.
    pub host: String,
    /// Whether the plugin may write to it.
    #[serde(default)]
    pub writable: bool,
}

/// The status of a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GenerationStatus {
    /// It is active.
    Active,
    /// It was active before; a rollback returns to it.
    Previous,
    /// It was active earlier.
    Retired,
}

/// Fitted models, by the digest of the plugin that fitted them and their subject (a series, or the panel that
/// shares one).
pub enum Models {}

impl Kind for Models {
    // Tag 0x15 was for models without a shared model, 0x19 for models without a lookback.
    const TAG: u8 = 0x1a;
    const NAME: &'static str = "fitted model";
    const ENCODING: Encoding = Encoding::Postcard;
    const MAX_BYTES: usize = 17 << 20;
    type Key = (Digest, String);
    type Value = FittedModel;
}

/// A fitted model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FittedModel {
    /// When it was fitted.
    pub fitted_at: Timestamp,
    /// Opaque data of the plugin.
    #[serde(with = "bytes")]
    pub model: Vec<u8>,
    /// The digest of the model that it shares with its panel, which is stored separately.
    pub shared: Option<Digest>,
    /// Number of values before the fit that a forecast needs; `None` means all.
    pub lookback: Option<u32>,
}

impl FittedModel {
    /// Creates a model without a shared part.
    #[must_use]
    pub const fn alone(fitted_at: Timestamp, model: Vec<u8>) -> Self {
        Self { fitted_at, model, shared: None, lookback: None }
    }
}

/// Leases by id.
pub enum Leases {}

impl Kind for Leases {
    const TAG: u8 = 0x16;
    const NAME: &'static str = "lease";
    type Key = LeaseId;
    type Value = Lease;
}

/// Negotiation records, by id.
pub enum Negotiations {}

impl Kind for Negotiations {
    const TAG: u8 = 0x17;
    const NAME: &'static str = "negotiation";
    const MAX_BYTES: usize = 8 << 20;
    type Key = String;
    type Value = Value;
}

/// Calendar events, by name.
pub enum Calendar {}

impl Kind for Calendar {
    const TAG: u8 = 0x18;
    const NAME: &'static str = "event";
    type Key = Name;
    type Value = CalendarEvent;
}

/// The scaling decisions. The store assigns [`Decision::sequence`].
pub enum Decisions {}

impl Log for Decisions {
    const TAG: u8 = 0x20;
    const NAME: &'static str = "decision";
    type Record = Decision;

    fn at(decision: &Decision) -> Option<Timestamp> {
        Some(decision.at)
    }
}

impl Numbered for Decision {
    fn number(&mut self, sequence: u64) {
        self.sequence = sequence;
    }
}

/// Outcomes: events, failures and the reactions to them.
pub enum Outcomes {}

impl Log for Outcomes {
    const TAG: u8 = 0x21;
    const NAME: &'static str = "outcome";
    type Record = Outcome;

    fn at(outcome: &Outcome) -> Option<Timestamp> {
        Some(outcome.at)
    }
}

/// An observed outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Its number in the log, assigned by the store.
    pub sequence: u64,
    /// When it happened.
    pub at: Timestamp,
    /// The service or container concerned.
    pub instance: String,
    /// The kind, such as `failure` or `grant`.
    pub kind: String,
    /// Further details.
    #[serde(default)]
    pub detail: Value,
}

impl Numbered for Outcome {
    fn number(&mut self, sequence: u64) {
        self.sequence = sequence;
    }
}
