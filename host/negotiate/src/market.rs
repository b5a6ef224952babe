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

/// A bid that was admitted, with the buyer's score for it.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredBid {
    /// What is offered.
    pub bid: Bid,
    /// Finite; higher is better. It counts for every replica that the bid gets.
    pub score: f64,
}

/// What a bid has won.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Allocation {
    /// The provider.
    pub provider: Name,
    /// The compute unit.
    pub unit: Name,
    /// How many replicas; at least 1.
    pub count: u32,
    /// For one replica.
    pub price_per_hour: f64,
}

/// Who gets the replicas of a request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Clearing {
    /// The winners, by provider and unit; a unit that bids at two prices may win twice.
    pub allocations: Vec<Allocation>,
    /// How many replicas they are together: all that were asked for, or as many as can be had.
    pub count: u32,
    /// What they cost together.
    pub price_per_hour: f64,
}

/// Determines the winners. The largest number of replicas that bids, capacity and budget allow comes
/// first, then the highest total score, then the lowest price; ties go by the names of provider and
/// unit, so the order of the bids does not matter. The number of replicas is always the largest. A
/// budget that binds makes score and price a knapsack problem: it is solved to the optimum for a few dozen
/// bids, and for more than that to within what one exchange could gain; where even the pairs of bids are too
/// many to look at all, to within what a bid more or less makes. `inventory` says how much of each unit is
/// left: bids on units that are not in it get nothing.
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

/// How many replicas of these resources fit into what is left of a unit. Replicas share the units of one
/// kind as a pool; how they are packed onto single machines is not looked at, except that one replica
/// must fit into one machine.
#[must_use]
pub fn room(unit: &InventoryUnit, replica: &Quantities) -> u32 {
    let whole = unit.unit.fits(replica).saturating_mul(unit.unit.count);
    whole.min(pooled(&unit.free, replica))
}

/// The most bids of one provider for one request: as many as the built-in plugin makes at most of each unit
/// that it has on offer, within 100 and 4000.
pub(crate) fn most_bids(units: usize) -> usize {
    units.saturating_mul(16).clamp(100, 4000)
}

/// How many replicas of these resources fit into a pool.
fn pooled(free: &Quantities, replica: &Quantities) -> u32 {
    let fits = replica
        .iter()
        .filter(|(_, amount)| *amount > 0.0)
        .map(|(resource, amount)| (free.get(resource) / amount + 1e-9).floor());
    fits.fold(f64::from(u32::MAX), f64::min) as u32
}

#[cfg(test)]
mod tests;
