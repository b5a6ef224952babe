use haggle_model::{Name, NegotiationPolicy, Quantities, Timestamp, Window};
use serde::{Deserialize, Serialize};

use crate::{Purpose, SpreadError};

/// What opens a negotiation: a service wants to carry a load over a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Demand {
    /// The id of the negotiation, unique across hosts; it becomes part of the ids of its leases.
    pub session: String,
    /// The service.
    pub requester: Name,
    /// The level that it wants to carry throughout the window on top of what it has promised to others; not
    /// the increase. Whom it promised has negotiated already for what that asks of its dependencies.
    pub load: Quantities,
    /// What it is for.
    pub purpose: Purpose,
    /// When.
    pub window: Window,
    /// How it is negotiated.
    pub policy: NegotiationPolicy,
    /// The share of a replica's capacity that the requester plans with, above 0 and at most 1.
    pub target_utilization: f64,
    /// The most that all replicas of the requester may cost together at any moment, per hour. It takes the place
    /// of [`Snapshot::budget_per_hour`](crate::Snapshot::budget_per_hour), which says what that means for what is
    /// leased already.
    pub budget_per_hour: Option<f64>,
    /// When the negotiation began; its deadline counts from here.
    pub started_at: Timestamp,
    /// Whether it is only about what would be agreed: everybody is asked, and nothing is held or agreed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// Why a negotiation cannot begin.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DemandError {
    /// A service that is not there, though the graph leads to it.
    #[error("there is no service {0}: add it before negotiating for it")]
    UnknownService(Name),
    /// The load names no resource that the requester has capacity for.
    #[error("the load ({load}) names nothing that {service} has capacity for ({capacity})")]
    NotServed {
        /// The requester.
        service: Name,
        /// What was asked for.
        load: Box<Quantities>,
        /// The capacity of a replica.
        capacity: Box<Quantities>,
    },
    /// No time to negotiate for.
    #[error("the window from {} to {} is empty or over at {now}", window.start, window.end)]
    Window {
        /// The window.
        window: Window,
        /// The present.
        now: Timestamp,
    },
    /// A number out of its range.
    #[error("{field} is {value}: it must lie {range}")]
    Range {
        /// The field.
        field: &'static str,
        /// What was given.
        value: f64,
        /// What would do.
        range: &'static str,
    },
    /// The dependency graph cannot carry it.
    #[error(transparent)]
    Spread(#[from] SpreadError),
}
