use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Name, Quantities, Timestamp, Window};

/// Identifies a lease across hosts. A parsed id has at most [`LeaseId::MOST_BYTES`] bytes and no control
/// characters.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(try_from = "String", into = "String")]
pub struct LeaseId(pub String);

/// The error for a text that is not a lease id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no id of a lease: use 1 to {most} bytes, none of them a control character",
    most = LeaseId::MOST_BYTES
)]
pub struct InvalidLeaseId(String);

impl LeaseId {
    /// The maximum length of an id in bytes.
    pub const MOST_BYTES: usize = 255;
}

impl TryFrom<String> for LeaseId {
    type Error = InvalidLeaseId;

    fn try_from(text: String) -> Result<Self, InvalidLeaseId> {
        if (1..=Self::MOST_BYTES).contains(&text.len()) && !text.contains(char::is_control) {
            Ok(Self(text))
        } else {
            Err(InvalidLeaseId(crate::bounded_text(&text, 80)))
        }
    }
}

impl From<LeaseId> for String {
    fn from(id: LeaseId) -> Self {
        id.0
    }
}

/// The owner of leased capacity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// A service, which leases its capacity to carry load.
    Service(Name),
    /// A kind of compute unit of a provider.
    Unit {
        /// The provider.
        provider: Name,
        /// The compute unit.
        unit: Name,
    },
}

/// The schema of [`Owner`]. It names each part, so that generated clients have a type for each.
mod described {
    use serde::Serialize;
    use utoipa::ToSchema;

    use crate::Name;

    /// The owner of leased capacity.
    #[derive(Serialize, ToSchema)]
    #[serde(rename_all = "snake_case")]
    #[expect(dead_code, reason = "only its schema is used")]
    pub(super) enum Owner {
        /// A service, which leases its capacity to carry load.
        Service(Name),
        /// A kind of compute unit of a provider.
        Unit(UnitOwner),
    }

    /// A kind of compute unit of a provider.
    #[derive(Serialize, ToSchema)]
    pub(super) struct UnitOwner {
        /// The provider.
        provider: Name,
        /// The compute unit.
        unit: Name,
    }
}

impl utoipa::PartialSchema for Owner {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        described::Owner::schema()
    }
}

impl utoipa::ToSchema for Owner {
    fn schemas(
        schemas: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>)>,
    ) {
        described::Owner::schemas(schemas);
    }
}

/// An account of the capacity ledger, identified by the owner of the capacity.
pub type Account = Owner;

/// Capacity reserved for a holder over a window. A lease is first held, then confirmed or released. It
/// expires at the end of its window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Lease {
    /// The id of the lease.
    pub id: LeaseId,
    /// The negotiation that created it.
    pub negotiation: String,
    /// The service that holds it.
    pub holder: Name,
    /// The owner of the capacity.
    pub owner: Owner,
    /// The leased amounts.
    pub amounts: Quantities,
    /// The number of replicas of the holder that it places; 0 if it promises load.
    pub replicas: u32,
    /// The total price per hour.
    pub price_per_hour: f64,
    /// The time for which it is leased.
    pub window: Window,
    /// The state.
    pub state: LeaseState,
    /// The time at which a hold expires; it has no meaning after the confirmation.
    pub held_until: Timestamp,
}

/// The state of a lease.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum LeaseState {
    /// Reserved until the negotiation ends or the hold expires.
    Held,
    /// Confirmed by an agreement.
    Confirmed,
    /// Released before its end.
    Released,
    /// Ended.
    Expired,
}

impl Lease {
    /// Whether it takes capacity at that moment or later.
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        match self.state {
            LeaseState::Held => now < self.held_until && now < self.window.end,
            LeaseState::Confirmed => now < self.window.end,
            LeaseState::Released | LeaseState::Expired => false,
        }
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(name) => write!(f, "service {name}"),
            Self::Unit { provider, unit } => write!(f, "provider {provider}, unit {unit}"),
        }
    }
}
