//! The messages between the parties of a negotiation: the records of `wit/answering.wit` and
//! `wit/market.wit`.

use std::{ops::Deref, sync::Arc};

use haggle_model::{ComputeUnit, Name, Quantities, Resource, Span, Strength, Tier, Window};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The purpose of a negotiation.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Demand is forecast to change.
    #[default]
    Growth,
    /// A failure is predicted.
    #[serde(alias = "failure-avoidance")]
    FailureAvoidance,
    /// A tier was raised or lowered.
    #[serde(alias = "tier-change")]
    TierChange,
    /// An agreement ends, or no longer fits.
    Renegotiation,
}

/// A call for proposals to one service: whether it will carry this load in this window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Inquiry {
    /// The id of the negotiation.
    pub session: String,
    /// The round, from 1.
    pub round: u32,
    /// The service that receives the inquiry.
    pub service: Name,
    /// The tier of that service.
    pub tier: Tier,
    /// The service whose demand opened the negotiation.
    pub requester: Name,
    /// The purpose of the negotiation.
    pub purpose: Purpose,
    /// The degree to which the requester depends on the answer.
    pub strength: Strength,
    /// The window of the load.
    pub window: Window,
    /// By resource: the requested amount, and the service's own figures.
    #[serde(with = "asks")]
    #[schema(value_type = BTreeMap<Resource, Ask>)]
    pub asks: Asks,
}

/// The requested amounts and the service's own figures. All fields name the same resources.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asks {
    /// The total that the service would carry for this requester, not the increase.
    pub requested: Quantities,
    /// The maximum that the service can carry at its replica limit.
    pub capacity: Quantities,
    /// The amount committed to others in the window, without the old agreement of this requester.
    pub committed: Quantities,
    /// The amount that this requester already holds throughout the window.
    pub agreed: Quantities,
    /// The maximum that the service's own dependencies can sustain, as far as they have answered in this
    /// round. If none has answered, it equals the requested amount.
    pub sustainable: Quantities,
}

impl Asks {
    /// The capacity that is not committed to others.
    #[must_use]
    pub fn free(&self) -> Quantities {
        self.capacity.minus(&self.committed)
    }

    /// Iterates over the resources.
    pub fn iter(&self) -> impl Iterator<Item = (Resource, Ask)> {
        self.requested.iter().map(|(resource, requested)| {
            let ask = Ask {
                requested,
                capacity: self.capacity.get(resource),
                committed: self.committed.get(resource),
                agreed: self.agreed.get(resource),
                sustainable: self.sustainable.get(resource),
            };
            (resource, ask)
        })
    }
}

/// The figures for one resource; see [`Asks`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Ask {
    /// The total that the service would carry for this requester.
    pub requested: f64,
    /// The maximum that the service can carry.
    pub capacity: f64,
    /// The amount committed to others.
    pub committed: f64,
    /// The amount that this requester already holds.
    pub agreed: f64,
    /// The maximum that the service's own dependencies can sustain.
    pub sustainable: f64,
}

/// [`Asks`] as a map from each resource to its [`Ask`].
mod asks {
    use std::collections::BTreeMap;

    use haggle_model::{Quantities, Resource};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::{Ask, Asks};

    pub(super) fn serialize<S: Serializer>(asks: &Asks, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(asks.iter())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Asks, D::Error> {
        let all = BTreeMap::<Resource, Ask>::deserialize(deserializer)?;
        let part = |of: fn(&Ask) -> f64| {
            let pairs = all.iter().map(|(resource, ask)| (*resource, of(ask)));
            Quantities::from_pairs(pairs).map_err(D::Error::custom)
        };
        Ok(Asks {
            requested: part(|ask| ask.requested)?,
            capacity: part(|ask| ask.capacity)?,
            committed: part(|ask| ask.committed)?,
            agreed: part(|ask| ask.agreed)?,
            sustainable: part(|ask| ask.sustainable)?,
        })
    }
}

/// A counter-offer of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Offer {
    /// The offered amount by requested resource; it never exceeds the requested amount.
    pub quantities: Quantities,
    /// A sentence for a person.
    pub reason: String,
}

/// The answer to an inquiry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The service carries the full load.
    Accept,
    /// The service refuses, even a part; the text gives the reason.
    Reject(String),
    /// The service offers a part.
    Counter(Offer),
}

/// A kind of machine in a provider's inventory, and the capacity that is left for the buyer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct InventoryUnit {
    /// The provider.
    pub provider: Name,
    /// The location of the machines.
    pub location: String,
    /// The description of the unit.
    pub unit: ComputeUnit,
    /// The capacity of all machines together that is free throughout the window, including the capacity
    /// that the buyer already holds.
    pub free: Quantities,
    /// The number of machines with free capacity, if the used capacity is packed tightly.
    pub available: u32,
}

/// The inventory of one provider for a buyer. A clone shares the units, so the session, its question and
/// their carriers use the same memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Inventory(Arc<[InventoryUnit]>);

impl Deref for Inventory {
    type Target = [InventoryUnit];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl From<Vec<InventoryUnit>> for Inventory {
    fn from(units: Vec<InventoryUnit>) -> Self {
        Self(units.into())
    }
}

impl Serialize for Inventory {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_ref().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Inventory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::from)
    }
}

/// A buyer's request: `count` replicas, each with these resources, over the window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Request {
    /// The id, unique within the negotiation.
    pub id: String,
    /// The service that needs the replicas.
    pub service: Name,
    /// The tier of that service.
    pub tier: Tier,
    /// The resources of one replica.
    pub resources: Quantities,
    /// The total number of replicas, including running ones that would be replaced.
    pub count: u32,
    /// The window of the request.
    pub window: Window,
    /// The maximum total price of these replicas per hour: the budget of the buyer minus the price of its
    /// other replicas.
    pub budget_per_hour: Option<f64>,
    /// The required location; `None` means anywhere.
    pub location: Option<String>,
    /// The required accelerator.
    pub gpu_type: Option<String>,
}

/// The guarantees of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Guarantees {
    /// The share of the window in which the unit is up, 0 to 1.
    pub availability: f64,
    /// The probability that a unit is taken back within an hour, 0 to 1.
    pub interruption_rate: f64,
    /// The notice before a unit is taken back.
    pub interruption_notice: Span,
}

/// A provider's offer of up to `count` replicas, each on a share of that compute unit. It comes from
/// outside; the market validates it before use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Bid {
    /// The compute unit.
    pub unit: String,
    /// The provider.
    pub provider: String,
    /// The location of the unit.
    pub location: String,
    /// The number of replicas; at least 1.
    pub count: u32,
    /// The price of one replica, per hour.
    pub price_per_hour: f64,
    /// The speed relative to a reference unit, which has 1.
    pub performance: f64,
    /// The guarantees.
    pub guarantees: Guarantees,
}
