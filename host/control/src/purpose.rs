//! The purposes of negotiations.

use haggle_model::{Bound, Quantities, ScalingReason, Timestamp};
use haggle_negotiate::Demand;
use haggle_plan::Target;

/// The purpose of a negotiation.
#[derive(Clone, Debug)]
pub(crate) struct Purpose {
    pub(crate) number: u64,
    pub(crate) demand: Demand,
    pub(crate) asked: Asked,
    pub(crate) origin: Origin,
}

/// The request of a negotiation, and its reason.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The number of requested replicas.
    pub(crate) wanted: u32,
    /// The number of replicas before.
    pub(crate) from: u32,
    pub(crate) reason: ScalingReason,
    pub(crate) bound: Option<Bound>,
    pub(crate) explanation: String,
}

/// The origin of a negotiation.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// The reconcile pass has computed a target. If the negotiation is refused, the core waits before it
    /// retries this load.
    Target { load: Quantities },
    /// A dry run that tests whether the whole load is available now. If not, the negotiation begins when
    /// the lost lease ends.
    Trial { load: Quantities, lost_until: Timestamp },
    /// A window of a scaling request.
    Request { id: String, part: usize },
    /// A window of a scaling request that has lost some of its agreed leases.
    Renewal { id: String, part: usize },
    /// An amendment of a window of a scaling request.
    Amendment { id: String, part: usize },
}

impl From<Target> for Asked {
    fn from(target: Target) -> Self {
        let Target { replicas, reason, bound, explanation, .. } = target;
        Self { wanted: replicas, from: 0, reason, bound, explanation }
    }
}

impl Origin {
    /// The window of the scaling request that the negotiation is for.
    pub(crate) fn request(&self) -> Option<(&str, usize)> {
        match self {
            Self::Request { id, part }
            | Self::Renewal { id, part }
            | Self::Amendment { id, part } => Some((id, *part)),
            Self::Target { .. } | Self::Trial { .. } => None,
        }
    }
}
