//! What is observed and predicted of services.

use std::sync::Arc;

use haggle_model::{Name, Resource, Tier, Timestamp};
use haggle_plan::{Accuracy, Outlook};

/// A measured load.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The service.
    pub service: Name,
    /// When.
    pub at: Timestamp,
    /// In the service's load resource.
    pub load: f64,
}

/// A forecast of a service's load.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// The service.
    pub service: Name,
    /// In which resource.
    pub resource: Resource,
    /// When it was made.
    pub at: Timestamp,
    /// By which plugin.
    pub plugin: Name,
    /// By which generation of it.
    pub generation: u64,
    /// How good forecasts of this service were lately.
    pub accuracy: Accuracy,
    /// What is forecast; the error says why nothing is.
    pub outlook: Result<Arc<Outlook>, String>,
}

/// How likely a service is to fail.
#[derive(Clone, Debug, PartialEq)]
pub struct Risk {
    /// The service.
    pub service: Name,
    /// Within the policy's horizon, 0 to 1; none where nobody could say.
    pub probability: Option<f64>,
    /// A sentence for a person.
    pub explanation: String,
}

/// A tier that was assigned.
#[derive(Clone, Debug, PartialEq)]
pub struct TierAssignment {
    /// The service.
    pub service: Name,
    /// The tier.
    pub tier: Tier,
    /// Its share of the capacity that services compete for, 0 to 1.
    pub share: f64,
    /// Why.
    pub reason: String,
}

/// What the driver sees of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaReport {
    /// The service.
    pub service: Name,
    /// How many replicas there are or are about to be.
    pub desired: u32,
    /// How many of them serve.
    pub ready: u32,
}
