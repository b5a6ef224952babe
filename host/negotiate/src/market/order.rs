//! The requests of a joint clearing, and the capacity that each leaves for the others.

use std::{collections::BTreeMap, sync::Arc};

use haggle_model::{Name, Quantities};

use super::{Allocation, ScoredBid, book::Book, exchange::Lots};
use crate::{InventoryUnit, Request};

/// One request of a joint clearing.
#[derive(Clone, Debug)]
pub struct Order {
    /// The request; its budget applies to this request alone.
    pub request: Request,
    /// The bids, with the capacity of each unit that is free for this request while the others take no more
    /// than they hold.
    pub(crate) book: Arc<Book>,
    /// By provider and unit: the part of that capacity that the order already holds, and releases if it
    /// wins anew. It has no effect on a unit that only one order bids for.
    pub held: BTreeMap<(Name, Name), Quantities>,
    /// The number of replicas that the order already has. It keeps all of them if it can win no more.
    pub has: u32,
}

/// By provider and unit: the amount taken beyond the held amount.
#[derive(Clone, Debug, Default)]
pub(super) struct Taken(BTreeMap<(Name, Name), Quantities>);

impl Order {
    /// Creates an order that has no replicas and holds nothing. `inventory` gives the free capacity of each
    /// unit; bids on units that it lacks win nothing.
    #[must_use]
    pub fn new(request: Request, bids: &[ScoredBid], inventory: &[InventoryUnit]) -> Self {
        let book = Arc::new(Book::new(&request.resources, bids, inventory));
        Self { request, book, held: BTreeMap::new(), has: 0 }
    }

    /// The lots of the order, without winners, given the amounts that others have taken.
    pub(super) fn lots(&self, taken: &Taken) -> Lots {
        // Usually nothing is taken.
        match taken.0.is_empty() {
            true => Lots::new(&self.book, |_, _| None),
            false => Lots::new(&self.book, |provider, unit| {
                taken.0.get(&(provider.clone(), unit.clone()))
            }),
        }
    }

    pub(super) fn settled(&self, taken: &Taken) -> Lots {
        let mut lots = self.lots(taken);
        lots.settle(self.request.count, self.request.budget_per_hour);
        lots
    }
}

impl Taken {
    /// Whether the capacity for these allocations is left for the order.
    pub(super) fn leaves(&self, order: &Order, won: &[Allocation]) -> bool {
        let has = |unit: &(Name, Name), count: u32| {
            let stock = order.book.place(&unit.0, &unit.1);
            let stock = stock.and_then(|place| order.book.stocks().get(place));
            stock.is_some_and(|stock| order.book.room_beside(stock, self.0.get(unit)) >= count)
        };
        counts(won).iter().all(|(unit, count)| has(unit, *count))
    }

    pub(super) fn with(&self, other: &Self) -> Self {
        let mut all = self.clone();
        for (unit, more) in &other.0 {
            let taken = all.0.entry(unit.clone()).or_default();
            *taken = taken.plus(more);
        }
        all
    }

    pub(super) fn add(&mut self, order: &Order, won: &[Allocation]) {
        for (unit, count) in counts(won) {
            let mut more = order.request.resources.scaled(f64::from(count));
            if let Some(held) = order.held.get(&unit) {
                more = more.minus(held);
            }
            let taken = self.0.entry(unit).or_default();
            *taken = taken.plus(&more);
        }
    }
}

/// The number of replicas by provider and unit.
fn counts(won: &[Allocation]) -> BTreeMap<(Name, Name), u32> {
    let mut counts = BTreeMap::new();
    for won in won {
        *counts.entry((won.provider.clone(), won.unit.clone())).or_default() += won.count;
    }
    counts
}
