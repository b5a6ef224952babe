use haggle_model::{Name, NegotiationPolicy, Quantities, Timestamp, Window};
use serde::{Deserialize, Serialize};

use crate::{Purpose, SpreadError};

/// The input of a negotiation: a service requests capacity for a load over a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Demand {
    /// The id of the negotiation, unique across hosts. The ids of its leases contain it.
    pub session: String,
    /// The service that requests.
    pub requester: Name,
    /// The load that the service wants to carry throughout the window, beyond the load that it has promised
    /// to others. It is a level, not an increase. The services that hold those promises have already
    /// negotiated the resulting load on the dependencies.
    pub load: Quantities,
    /// The purpose of the demand.
    pub purpose: Purpose,
    /// The time for which the load is requested.
    pub window: Window,
    /// The rules of the negotiation.
    pub policy: NegotiationPolicy,
    /// The planned share of a replica's capacity, above 0 and at most 1.
    pub target_utilization: f64,
    /// The maximum total price per hour of all replicas of the requester at any moment. It overrides
    /// [`Snapshot::budget_per_hour`](crate::Snapshot::budget_per_hour), which describes its effect on
    /// existing leases.
    pub budget_per_hour: Option<f64>,
    /// The start of the negotiation. The deadline counts from this moment.
    pub started_at: Timestamp,
    /// Whether this is a dry run: the session asks all parties, but holds and agrees nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// The reasons for which a negotiation cannot begin.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DemandError {
    /// The graph contains a service that does not exist.
    #[error("there is no service {0}: add it before negotiating for it")]
    UnknownService(Name),
    /// The load names no resource that a replica of the requester has capacity for.
    #[error("the load ({load}) names nothing that {service} has capacity for ({capacity})")]
    NotServed {
        /// The requester.
        service: Name,
        /// The requested load.
        load: Box<Quantities>,
        /// The capacity of a replica.
        capacity: Box<Quantities>,
    },
    /// The window is empty or has ended.
    #[error("the window from {} to {} is empty or over at {now}", window.start, window.end)]
    Window {
        /// The window.
        window: Window,
        /// The current time.
        now: Timestamp,
    },
    /// A number is out of range.
    #[error("{field} is {value}: it must lie {range}")]
    Range {
        /// The field.
        field: &'static str,
        /// The given value.
        value: f64,
        /// The valid range, in words.
        range: &'static str,
    },
    /// The dependency graph cannot carry the load.
    #[error(transparent)]
    Spread(#[from] SpreadError),
}
