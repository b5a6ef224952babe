use std::{collections::BTreeMap, fmt};

use haggle_model::{Alternative, LeaseId, Name, Quantities, Window};
use serde::{Deserialize, Serialize};

use crate::Edge;

/// The result of a negotiation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every lease of the agreement is confirmed.
    Agreed(Box<Agreement>),
    /// The negotiation changed nothing.
    Failed {
        /// The reasons, each with the party concerned.
        reasons: Vec<Reason>,
        /// The number of rounds.
        rounds: u32,
    },
}

/// An agreement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Agreement {
    /// The id of the negotiation.
    pub session: String,
    /// The service that requested it.
    pub requester: Name,
    /// The agreed fraction of the demand, above 0 and at most 1.
    pub fraction: f64,
    /// Whether the fraction is below 1.
    pub reduced: bool,
    /// The agreed window, if it differs from the requested one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// The alternatives that were applied instead of the full demand at the requested time, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<Alternative>,
    /// Leases of lower tiers that end when this agreement begins. Their holders must negotiate again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preempted: Vec<LeaseId>,
    /// Optional dependencies that the requester does without.
    pub without_optional: Vec<Edge>,
    /// The participating services, including the requester.
    pub services: BTreeMap<Name, AgreedService>,
    /// The confirmed leases behind the agreement, new and old.
    pub leases: Vec<LeaseId>,
    /// The price per hour of the replicas that were bought or kept for it: the sum over the services, each
    /// at its most expensive moment of the window.
    pub price_per_hour: f64,
    /// The number of rounds.
    pub rounds: u32,
    /// The reasons for which it is reduced or degraded.
    pub reasons: Vec<Reason>,
}

/// The part of one service in an agreement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AgreedService {
    /// The load that it carries because of this agreement.
    pub load: Quantities,
    /// The number of replicas for everything that the service has promised and plans, including this
    /// agreement. If providers exist, this is the leased number. A service other than the requester keeps
    /// all replicas it had, because only that service knows their other uses. If there are no providers, a
    /// service other than the requester may have more replicas and keeps them.
    pub replicas: u32,
}

/// A statement or failure of one party.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Reason {
    /// The service or provider.
    pub participant: Name,
    /// A sentence that a person can act on.
    pub text: String,
}

impl Outcome {
    /// The agreement, if there is one.
    #[must_use]
    pub const fn agreement(&self) -> Option<&Agreement> {
        match self {
            Self::Agreed(agreement) => Some(agreement),
            Self::Failed { .. } => None,
        }
    }

    /// The number of rounds.
    #[must_use]
    pub const fn rounds(&self) -> u32 {
        match self {
            Self::Agreed(agreement) => agreement.rounds,
            Self::Failed { rounds, .. } => *rounds,
        }
    }

    /// The reasons for which it failed, or is reduced or degraded.
    #[must_use]
    pub fn reasons(&self) -> &[Reason] {
        match self {
            Self::Agreed(agreement) => &agreement.reasons,
            Self::Failed { reasons, .. } => reasons,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.participant, self.text)
    }
}
