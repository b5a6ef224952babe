//! What the store keeps.

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

/// One upload of a plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PluginGeneration {
    /// The plugin.
    pub plugin: Name,
    /// Ascending with every upload of the same plugin.
    pub generation: u64,
    /// Of the component; its bytes are among the artefacts.
    pub digest: Digest,
    /// Of the component, in bytes.
    pub size: u64,
    /// When it was uploaded.
    pub loaded_at: Timestamp,
    /// The roles that it exports.
    pub roles: Vec<String>,
    /// What every call passes to it.
    #[serde(default)]
    pub configuration: Value,
    /// Whether it decides.
    pub status: GenerationStatus,
    /// Directories that the operator granted it, each as its guest path and its host path.
    #[serde(default)]
    pub granted: Vec<GrantedDirectory>,
}

/// A directory that a plugin may see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantedDirectory {
    /// Where the plugin sees it.
    pub guest: String,
    /// Where it is.
    pub host: String,
    /// Whether the plugin may change it.
    #[serde(default)]
    pub writable: bool,
}

/// Whether a generation decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GenerationStatus {
    /// It does.
    Active,
    /// It did, and a rollback would return to it.
    Previous,
    /// It did once.
    Retired,
}

/// Fitted models by the digest of the plugin that fitted them and whom they are for (a series, or the
/// panel that shares one).
pub enum Models {}

impl Kind for Models {
    // 0x15 was that of models that did not say what they go with, 0x19 of those without a lookback.
    const TAG: u8 = 0x1a;
    const NAME: &'static str = "fitted model";
    const ENCODING: Encoding = Encoding::Postcard;
    const MAX_BYTES: usize = 17 << 20;
    type Key = (Digest, String);
    type Value = FittedModel;
}

/// What a plugin learnt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FittedModel {
    /// When.
    pub fitted_at: Timestamp,
    /// Opaque to everybody but the plugin.
    #[serde(with = "bytes")]
    pub model: Vec<u8>,
    /// The digest of what it shares with the other models of its panel, which is kept beside it.
    pub shared: Option<Digest>,
    /// How many of the values before the fit a forecast looks at; all if none.
    pub lookback: Option<u32>,
}

impl FittedModel {
    /// A model that goes with no other.
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

/// Negotiations by id, as the negotiation itself describes them.
pub enum Negotiations {}

impl Kind for Negotiations {
    const TAG: u8 = 0x17;
    const NAME: &'static str = "negotiation";
    const MAX_BYTES: usize = 8 << 20;
    type Key = String;
    type Value = Value;
}

/// Events by name.
pub enum Calendar {}

impl Kind for Calendar {
    const TAG: u8 = 0x18;
    const NAME: &'static str = "event";
    type Key = Name;
    type Value = CalendarEvent;
}

/// The decisions to scale. The store assigns [`Decision::sequence`].
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

/// What happened: events, failures and how they were met.
pub enum Outcomes {}

impl Log for Outcomes {
    const TAG: u8 = 0x21;
    const NAME: &'static str = "outcome";
    type Record = Outcome;

    fn at(outcome: &Outcome) -> Option<Timestamp> {
        Some(outcome.at)
    }
}

/// Something that happened, to learn from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Its place in the log; the store assigns it.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// To which service or container.
    pub instance: String,
    /// Of which kind, e.g. `failure` or `grant`.
    pub kind: String,
    /// What else is known.
    #[serde(default)]
    pub detail: Value,
}

impl Numbered for Outcome {
    fn number(&mut self, sequence: u64) {
        self.sequence = sequence;
    }
}
