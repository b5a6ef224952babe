//! Observations and predictions of services.

use std::sync::Arc;

use haggle_model::{Name, Resource, Tier, Timestamp};
use haggle_plan::{Accuracy, Outlook};

/// A measured load.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The service.
    pub service: Name,
    /// The time of the newest sample in it.
    pub at: Timestamp,
    /// The mean over a step of the policy, in the unit of the service's load resource.
    pub load: f64,
    /// The number of steps of the policy that the load is known for.
    pub steps: usize,
}

/// A forecast of a service's load.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// The service.
    pub service: Name,
    /// The resource of the load.
    pub resource: Resource,
    /// The time at which the forecast was made.
    pub at: Timestamp,
    /// The plugin that made it.
    pub plugin: Name,
    /// The generation of the plugin.
    pub generation: u64,
    /// The accuracy of recent forecasts of this service.
    pub accuracy: Accuracy,
    /// The forecast, or the reason for which there is none.
    pub outlook: Result<Arc<Outlook>, String>,
}

/// The failure risk of a service.
#[derive(Clone, Debug, PartialEq)]
pub struct Risk {
    /// The service.
    pub service: Name,
    /// The probability of a failure within the policy's horizon, 0 to 1; `None` if unknown.
    pub probability: Option<f64>,
    /// A sentence for a person.
    pub explanation: String,
}

/// A tier assignment.
#[derive(Clone, Debug, PartialEq)]
pub struct TierAssignment {
    /// The service.
    pub service: Name,
    /// The tier.
    pub tier: Tier,
    /// The share of the capacity that services compete for, 0 to 1.
    pub share: f64,
    /// The reason.
    pub reason: String,
}

/// The driver's view of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaReport {
    /// The service.
    pub service: Name,
    /// The number of replicas that the driver aims for.
    pub desired: u32,
    /// The number of replicas that serve.
    pub ready: u32,
}
