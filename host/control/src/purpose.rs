//! What a negotiation is for.

use haggle_model::{Bound, Quantities, ScalingReason, Timestamp};
use haggle_negotiate::Demand;
use haggle_plan::Target;

/// What a negotiation is for.
#[derive(Clone, Debug)]
pub(crate) struct Purpose {
    pub(crate) number: u64,
    pub(crate) demand: Demand,
    pub(crate) asked: Asked,
    pub(crate) origin: Origin,
}

/// What is asked for the requester, and why.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// How many replicas are wanted.
    pub(crate) wanted: u32,
    /// How many there were.
    pub(crate) from: u32,
    pub(crate) reason: ScalingReason,
    pub(crate) bound: Option<Bound>,
    pub(crate) explanation: String,
}

/// Who wants it.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// The core, which has worked out a target. This load is not asked for again at once if it is refused.
    Target { load: Quantities },
    /// Whether the whole can be had now, tried without holding anything. If not, the negotiation begins when
    /// the lost lease ends.
    Trial { load: Quantities, lost_until: Timestamp },
    /// A window of a scaling request.
    Request { id: String, part: usize },
    /// A window of a scaling request that has lost something of what was agreed.
    Renewal { id: String, part: usize },
    /// A window of a scaling request that is to be another.
    Amendment { id: String, part: usize },
}

impl From<Target> for Asked {
    fn from(target: Target) -> Self {
        let Target { replicas, reason, bound, explanation, .. } = target;
        Self { wanted: replicas, from: 0, reason, bound, explanation }
    }
}

impl Origin {
    /// The window of the scaling request that it is for.
    pub(crate) fn request(&self) -> Option<(&str, usize)> {
        match self {
            Self::Request { id, part }
            | Self::Renewal { id, part }
            | Self::Amendment { id, part } => Some((id, *part)),
            Self::Target { .. } | Self::Trial { .. } => None,
        }
    }
}
