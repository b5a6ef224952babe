use serde::{Deserialize, Serialize};

use crate::{Name, Quantities, Timestamp};

/// A decision to scale a service, as it was taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Decision {
    /// Its place in the journal; ascending.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// What is scaled.
    pub service: Name,
    /// How many replicas there were.
    pub from: u32,
    /// How many there are to be.
    pub to: u32,
    /// How many were wanted before anybody was asked.
    pub target: u32,
    /// Why.
    pub reason: ScalingReason,
    /// The load that is planned for.
    pub load: Quantities,
    /// What kept it from being what was wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<Bound>,
    /// The negotiation that agreed to it, where one was needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negotiation: Option<String>,
    /// For a person to read.
    pub explanation: String,
}

/// Why a service is scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScalingReason {
    /// Its own demand is forecast to change.
    Forecast,
    /// Something that depends on it will ask for more.
    Dependency,
    /// A failure is predicted.
    FailureRisk,
    /// Its error budget is used up too fast.
    Objective,
    /// Its tier was changed.
    Tier,
    /// Somebody asked for it through the API.
    Request,
    /// An agreement ended.
    LeaseEnded,
}

/// What kept a decision from being what was wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// The bounds of the service.
    Replicas,
    /// The confidence of the forecast is too low to scale in.
    Confidence,
    /// More was needed a short while ago.
    Stabilization,
    /// A dependency or provider agreed to less.
    Negotiation,
}
