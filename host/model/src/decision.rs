use serde::{Deserialize, Serialize};

use crate::{Name, Quantities, Timestamp};

/// A decision to scale a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Decision {
    /// The sequence number in the journal; it ascends.
    pub sequence: u64,
    /// The time of the decision.
    pub at: Timestamp,
    /// The service.
    pub service: Name,
    /// The number of replicas before.
    pub from: u32,
    /// The number of replicas after.
    pub to: u32,
    /// The number of replicas that was requested before the negotiation.
    pub target: u32,
    /// The reason.
    pub reason: ScalingReason,
    /// The planned load.
    pub load: Quantities,
    /// The limit that kept the result from the requested number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<Bound>,
    /// The negotiation that agreed to it, if one was needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negotiation: Option<String>,
    /// An explanation for a person.
    pub explanation: String,
}

/// The reason for scaling a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScalingReason {
    /// The forecast of its own demand changed.
    Forecast,
    /// A dependent will request more.
    Dependency,
    /// A failure is predicted.
    FailureRisk,
    /// The error budget burns too fast.
    Objective,
    /// Its tier was changed.
    Tier,
    /// A request through the API.
    Request,
    /// An agreement or a lease ended.
    LeaseEnded,
}

/// The limit that kept a decision from the requested number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// The replica bounds of the service.
    Replicas,
    /// The confidence of the forecast is too low to scale in.
    Confidence,
    /// The need was higher within the stabilization window.
    Stabilization,
    /// A dependency or provider agreed to less.
    Negotiation,
}
