//! What the parties of a negotiation say to each other: the records of `wit/answering.wit` and `wit/market.wit`.

use std::{ops::Deref, sync::Arc};

use haggle_model::{ComputeUnit, Name, Quantities, Resource, Span, Strength, Tier, Window};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a negotiation is for.
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

/// A call for proposals to one service: will it carry this load over that time?
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Inquiry {
    /// The negotiation that asks.
    pub session: String,
    /// The round, from 1.
    pub round: u32,
    /// The service that is asked.
    pub service: Name,
    /// The tier of that service.
    pub tier: Tier,
    /// The service whose demand opened the negotiation.
    pub requester: Name,
    /// Why it was opened.
    pub purpose: Purpose,
    /// How much the requester depends on the answer.
    pub strength: Strength,
    /// The time in question.
    pub window: Window,
    /// What is requested of each resource, and what the service has of it.
    #[serde(with = "asks")]
    #[schema(value_type = BTreeMap<Resource, Ask>)]
    pub asks: Asks,
}

/// What is requested of a service, and what it has of that. All parts name the same resources.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asks {
    /// The total that the service would have to carry for this requester, not the increase.
    pub requested: Quantities,
    /// The most that the service can carry once it has grown to its bounds.
    pub capacity: Quantities,
    /// What others hold of it in the window, without this requester's old agreement.
    pub committed: Quantities,
    /// What this requester already holds of it throughout the window.
    pub agreed: Quantities,
    /// The most that the service's own dependencies can sustain, as far as they have answered this round; what is
    /// requested where none has.
    pub sustainable: Quantities,
}

impl Asks {
    /// What is neither committed to others nor beyond the service's capacity.
    #[must_use]
    pub fn free(&self) -> Quantities {
        self.capacity.minus(&self.committed)
    }

    /// One by one.
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

/// What is requested of one resource, and what the service has of it: see [`Asks`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Ask {
    /// The total that the service would have to carry for this requester.
    pub requested: f64,
    /// The most that the service can carry.
    pub capacity: f64,
    /// What others hold of it.
    pub committed: f64,
    /// What this requester already holds of it.
    pub agreed: f64,
    /// The most that the service's own dependencies can sustain.
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

/// What a service would agree to instead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Offer {
    /// For each resource asked for, how much of it; never more than was asked.
    pub quantities: Quantities,
    /// For a person to read.
    pub reason: String,
}

/// The answer to an inquiry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// All of it.
    Accept,
    /// No, and nothing less either; the text says why.
    Reject(String),
    /// Not all, but this.
    Counter(Offer),
}

/// A kind of machine in a provider's inventory, and what is left of it for the buyer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct InventoryUnit {
    /// Whose it is.
    pub provider: Name,
    /// Where it is.
    pub location: String,
    /// One of them.
    pub unit: ComputeUnit,
    /// What is free of all of them together throughout the window, what the buyer holds already
    /// included.
    pub free: Quantities,
    /// How many of them have something free, if what is taken is packed tightly.
    pub available: u32,
}

/// What one provider has for a buyer. A clone shares the units: the session, its question, and whoever
/// carries that look at the same ones.
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

/// What a buyer wants: `count` replicas, each with these resources, over the window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Request {
    /// Unique within its negotiation.
    pub id: String,
    /// The service whose replicas they are.
    pub service: Name,
    /// Its snapshot.
    pub tier: Tier,
    /// For one replica.
    pub resources: Quantities,
    /// How many in all, those included that run already and would be replaced.
    pub count: u32,
    /// The time in question.
    pub window: Window,
    /// The most the buyer pays for all these replicas together, per hour: its budget without what those of its
    /// replicas cost that stay beside them.
    pub budget_per_hour: Option<f64>,
    /// Where it must be; anywhere if none.
    pub location: Option<String>,
    /// The accelerator it needs.
    pub gpu_type: Option<String>,
}

/// What a provider stands for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Guarantees {
    /// 0 to 1: the share of the window in which the unit is up.
    pub availability: f64,
    /// 0 to 1: the probability that one is taken back within an hour.
    pub interruption_rate: f64,
    /// How long before that it is announced.
    pub interruption_notice: Span,
}

/// An offer of a provider: up to `count` replicas, each on its share of that compute unit. It comes from
/// outside, so nothing in it is believed before the market has looked at it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Bid {
    /// The compute unit that would be used.
    pub unit: String,
    /// Whose it is.
    pub provider: String,
    /// Where it is.
    pub location: String,
    /// How many replicas; at least 1.
    pub count: u32,
    /// For one replica.
    pub price_per_hour: f64,
    /// Speed relative to a reference unit, which has 1.
    pub performance: f64,
    /// What comes with it.
    pub guarantees: Guarantees,
}
