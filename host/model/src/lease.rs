use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Name, Quantities, Timestamp, Window};

/// Identifies a lease across hosts: at most [`LeaseId::MOST_BYTES`], none of them a control character, where
/// it is read.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(try_from = "String", into = "String")]
pub struct LeaseId(pub String);

/// Why a text does not identify a lease.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no id of a lease: use 1 to {most} bytes, none of them a control character",
    most = LeaseId::MOST_BYTES
)]
pub struct InvalidLeaseId(String);

impl LeaseId {
    /// The most bytes of an id.
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

/// Whose capacity is leased.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// A service's capacity to carry load.
    Service(Name),
    /// A provider's compute units of one kind.
    Unit {
        /// The provider.
        provider: Name,
        /// The compute unit.
        unit: Name,
    },
}

/// How [`Owner`] is described: with a name for each part, so that generated clients have a type for each.
mod described {
    use serde::Serialize;
    use utoipa::ToSchema;

    use crate::Name;

    /// Whose capacity is leased.
    #[derive(Serialize, ToSchema)]
    #[serde(rename_all = "snake_case")]
    #[expect(dead_code, reason = "only its schema is used")]
    pub(super) enum Owner {
        /// A service's capacity to carry load.
        Service(Name),
        /// A provider's compute units of one kind.
        Unit(UnitOwner),
    }

    /// A provider's compute units of one kind.
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

/// A line of the capacity ledger: one owner's capacity.
pub type Account = Owner;

/// Capacity reserved for somebody over a window. It is held first, then confirmed or released, and is
/// over at the end of its window by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Lease {
    /// Its identity.
    pub id: LeaseId,
    /// The negotiation it came from.
    pub negotiation: String,
    /// The service that it was made for.
    pub holder: Name,
    /// Whose capacity it is.
    pub owner: Owner,
    /// How much.
    pub amounts: Quantities,
    /// How many replicas of the holder it places; 0 where it promises load.
    pub replicas: u32,
    /// What it costs in all, per hour.
    pub price_per_hour: f64,
    /// When.
    pub window: Window,
    /// Where it stands.
    pub state: LeaseState,
    /// When a hold ends by itself; of no meaning once confirmed.
    pub held_until: Timestamp,
}

/// Where a lease stands.
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
    /// Reserved until the negotiation ends or the hold runs out.
    Held,
    /// Agreed.
    Confirmed,
    /// Given back.
    Released,
    /// Over.
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
