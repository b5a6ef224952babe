use std::{collections::BTreeMap, fmt};

use haggle_model::{Alternative, LeaseId, Name, Quantities, Window};
use serde::{Deserialize, Serialize};

use crate::Edge;

/// How a negotiation ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything in it is confirmed.
    Agreed(Box<Agreement>),
    /// Nothing has changed.
    Failed {
        /// Why, by whoever could not or would not.
        reasons: Vec<Reason>,
        /// How many rounds it took.
        rounds: u32,
    },
}

/// What was agreed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Agreement {
    /// The negotiation.
    pub session: String,
    /// The service that wanted it.
    pub requester: Name,
    /// How much of the demand, above 0 and at most 1.
    pub fraction: f64,
    /// Whether that is less than all.
    pub reduced: bool,
    /// When, where that is not the window that was wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// What was tried in place of the whole at the time that was wanted, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<Alternative>,
    /// Leases of lower tiers that end where this begins: their holders have to negotiate again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preempted: Vec<LeaseId>,
    /// Optional dependencies that the requester has to do without.
    pub without_optional: Vec<Edge>,
    /// The services that take part, the requester included.
    pub services: BTreeMap<Name, AgreedService>,
    /// The confirmed leases that stand behind it, new and old.
    pub leases: Vec<LeaseId>,
    /// What the replicas cost per hour that were bought or kept for it: for each service, at the dearest moment
    /// of the window.
    pub price_per_hour: f64,
    /// How many rounds it took.
    pub rounds: u32,
    /// Why it is reduced or degraded.
    pub reasons: Vec<Reason>,
}

/// The part of one service in an agreement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AgreedService {
    /// What it carries because of this agreement.
    pub load: Quantities,
    /// How many replicas it has for all that it has promised and plans itself, this included. Where units
    /// are provided, so many are leased: all that it had, for a service other than the requester, since only
    /// that knows what else it keeps them for. Where none are, a service other than the requester may have
    /// more, and then keeps them.
    pub replicas: u32,
}

/// What one party said or could not do.
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

    /// Why it failed, is reduced or degraded.
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
