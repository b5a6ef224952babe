use std::sync::Arc;

use haggle_model::{Name, Quantities};
use serde::{Deserialize, Serialize};

use crate::{Bid, InventoryUnit, Request};

mod admission;
mod book;
mod contest;
mod exchange;
mod joint;
mod order;
mod prices;
mod problem;
mod search;
mod search_state;

pub use admission::{RefusedBid, admit};
pub(crate) use book::Book;
pub use joint::{clear_in_turn, clear_together};
pub use order::Order;

/// An admitted bid with the score that the buyer gave it.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredBid {
    /// The bid.
    pub bid: Bid,
    /// The score per replica; finite, higher is better.
    pub score: f64,
}

/// The replicas that a bid has won.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Allocation {
    /// The provider.
    pub provider: Name,
    /// The compute unit.
    pub unit: Name,
    /// The number of replicas; at least 1.
    pub count: u32,
    /// The price of one replica, per hour.
    pub price_per_hour: f64,
}

/// The result of clearing one request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Clearing {
    /// The winners, sorted by provider and unit. A unit with bids at two prices may win twice.
    pub allocations: Vec<Allocation>,
    /// The total number of replicas: the requested number, or as many as are available.
    pub count: u32,
    /// The total price per hour.
    pub price_per_hour: f64,
}

/// Determines the winners. The criteria, in order: the largest number of replicas that bids, capacity and
/// budget allow; the highest total score; the lowest price. Ties are broken by the names of provider and
/// unit, so the order of the bids does not matter. The number of replicas is always the maximum. A binding
/// budget makes score and price a knapsack problem. For a few dozen bids the solution is optimal. For more
/// bids it is within the gain of one exchange of the optimum; if even the pairs of bids are too many to
/// examine, it is within the effect of one bid more or less. `inventory` gives the free capacity of each
/// unit; bids on units that it lacks win nothing.
#[must_use]
pub fn clear(request: &Request, bids: &[ScoredBid], inventory: &[InventoryUnit]) -> Clearing {
    let book = Arc::new(Book::new(&request.resources, bids, inventory));
    let mut lots = exchange::Lots::new(&book, |_, _| None);
    lots.settle(request.count, request.budget_per_hour);
    Clearing::of(lots.won())
}

impl Clearing {
    fn of(allocations: Vec<Allocation>) -> Self {
        let count = allocations.iter().map(|won| won.count).sum();
        let price_per_hour =
            allocations.iter().map(|won| f64::from(won.count) * won.price_per_hour).sum();
        Self { allocations, count, price_per_hour }
    }
}

/// The number of replicas with these resources that fit into the free capacity of a unit. Replicas share
/// the units of one kind as a pool. Packing onto single machines is not checked, except that one replica
/// must fit into one machine.
#[must_use]
pub fn room(unit: &InventoryUnit, replica: &Quantities) -> u32 {
    let whole = unit.unit.fits(replica).saturating_mul(unit.unit.count);
    whole.min(pooled(&unit.free, replica))
}

/// The maximum number of bids of one provider for one request. It equals the maximum that the built-in
/// plugin bids per offered unit, clamped to 100 to 4000.
pub(crate) fn most_bids(units: usize) -> usize {
    units.saturating_mul(16).clamp(100, 4000)
}

/// The number of replicas with these resources that fit into a pool.
fn pooled(free: &Quantities, replica: &Quantities) -> u32 {
    let fits = replica
        .iter()
        .filter(|(_, amount)| *amount > 0.0)
        .map(|(resource, amount)| (free.get(resource) / amount + 1e-9).floor());
    fits.fold(f64::from(u32::MAX), f64::min) as u32
}

#[cfg(test)]
mod tests;
