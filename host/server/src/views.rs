//! What the host shows and takes, as JSON.

use haggle_actuate::ReplicaStatus;
use haggle_model::{DependencyDocument, Lease, Name, Quantities, Service, Tier, Timestamp};
use haggle_observe::Sample;
use haggle_plan::{Accuracy, Outlook, Summary};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

pub use haggle_observe::Accepted;

mod scaling;

pub use scaling::{
    ScalingProgress, ScalingRequest, ScalingVerdict, ScalingWindow, Verdict, WindowVerdict,
};

/// Whether a document was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It was not.
    Created,
    /// It was.
    Updated,
}

/// A service and where it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ServiceView {
    /// The service as it was described.
    #[serde(flatten)]
    pub service: Service,
    /// Where it stands.
    pub status: ServiceStatus,
}

/// Where a service stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ServiceStatus {
    /// Its replicas.
    pub replicas: ReplicaStatus,
    /// Its tier as of now.
    pub tier: Tier,
    /// The share of the pool that the tier policy gives it, 0 to 1.
    pub share: f64,
    /// The load that was last observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<f64>,
    /// The load it plans for.
    pub planned: Quantities,
    /// The probability that it fails soon, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<f64>,
    /// The share of requests that could be carried over the objective's window, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compliance: Option<f64>,
}

/// The dependency graph.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GraphView {
    /// The services by name.
    pub services: Vec<Name>,
    /// The dependencies.
    pub dependencies: Vec<DependencyDocument>,
}

/// How a plugin is loaded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PluginSettings {
    /// What every call passes to it: a JSON object.
    pub configuration: Option<Value>,
}

/// A plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PluginView {
    /// Its name.
    pub name: Name,
    /// Whether the host brings it.
    pub built_in: bool,
    /// The generation that decides; none while the first upload is compiled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<GenerationView>,
    /// The one before it, to which a rollback returns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<GenerationView>,
    /// The newest upload, where there was one since the host started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<LoadStatus>,
}

/// One generation of a plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GenerationView {
    /// Counts the plugin's uploads from 1.
    pub generation: u64,
    /// SHA-256 of the uploaded bytes.
    pub digest: String,
    /// How many bytes.
    pub size: u64,
    /// What it can decide.
    pub roles: Vec<String>,
    /// What it calls itself.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// What it says of itself.
    pub summary: String,
    /// JSON Schema of its configuration.
    pub configuration_schema: Value,
    /// Its configuration.
    pub configuration: Value,
}

/// What became of an upload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LoadStatus {
    /// The generation it would become.
    pub generation: u64,
    /// Where it stands.
    pub status: LoadState,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Where an upload stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoadState {
    /// Being compiled and tried out.
    Compiling,
    /// It was refused.
    Failed,
    /// It decides.
    Ready,
}

/// Facts that come in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SampleBatch {
    /// Measurements.
    #[serde(default)]
    pub samples: Vec<Sample>,
    /// Failures that happened, to learn from.
    #[serde(default)]
    pub failures: Vec<FailureReport>,
}

/// A failure that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FailureReport {
    /// The service.
    pub service: Name,
    /// The replica, container or machine; the whole service if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When; now if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
}

/// The latest forecast of a service's load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ForecastView {
    /// The service.
    pub service: Name,
    /// The resource that its load is counted in.
    pub resource: haggle_model::Resource,
    /// When it was made.
    pub at: Timestamp,
    /// By which plugin.
    pub plugin: Name,
    /// By which generation of it.
    pub generation: u64,
    /// How good the forecasts were lately.
    #[serde(default)]
    pub accuracy: Accuracy,
    /// What is forecast.
    #[serde(flatten)]
    pub outlook: Outlook,
    /// The same until each horizon that was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub horizons: Vec<Summary>,
}

/// The latest forecasts of all services.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ForecastsView {
    /// By service.
    pub items: Vec<ForecastView>,
    /// What they come to together, by resource. There is none of a resource whose forecasts have no time in
    /// common.
    pub pool: Vec<PoolForecast>,
    /// The services that have no forecast, and are missing in the totals.
    pub missing: Vec<Name>,
}

/// The forecast of what services together are asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PoolForecast {
    /// The resource that their load is counted in.
    pub resource: haggle_model::Resource,
    /// How many services that are.
    pub services: usize,
    /// What is forecast of them: the sums of their means and bounds, in the finest of their steps, over the
    /// time that all of their forecasts cover.
    #[serde(flatten)]
    pub outlook: Outlook,
    /// The same until each horizon that was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub horizons: Vec<Summary>,
}

/// A provider takes compute units back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReclaimRequest {
    /// Which unit.
    pub unit: Name,
    /// How many of it; at least 1.
    pub count: u32,
    /// When they are gone; after the unit's `interruption_notice` if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// What an announced reclaim means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Reclaimed {
    /// The provider.
    pub provider: Name,
    /// The unit.
    pub unit: Name,
    /// How many are gone.
    pub count: u32,
    /// From when on.
    pub at: Timestamp,
    /// The leases that end then, as they are now.
    pub leases: Vec<Lease>,
}

impl TurnReport {
    pub(crate) fn count(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Approved => self.won += 1,
            Verdict::Reduced => self.reduced += 1,
            Verdict::Denied => self.failed += 1,
        }
    }
}

/// What one turn of the control loop did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TurnReport {
    /// When.
    pub at: Timestamp,
    /// How many services there are.
    pub services: usize,
    /// How many were fitted anew.
    pub fitted: usize,
    /// How many got a forecast.
    pub forecast: usize,
    /// How many could not be forecast.
    pub unforecast: usize,
    /// How many are at risk.
    pub at_risk: usize,
    /// Negotiations that got all they asked for.
    pub won: usize,
    /// Negotiations that got part of it.
    pub reduced: usize,
    /// Negotiations that got nothing.
    pub failed: usize,
    /// Decisions to scale.
    pub decisions: usize,
    /// Leases that ended.
    pub expired: usize,
}
