//! Requests that are cleared together, and what each leaves for the others.

use std::{collections::BTreeMap, sync::Arc};

use haggle_model::{Name, Quantities};

use super::{Allocation, ScoredBid, book::Book, exchange::Lots};
use crate::{InventoryUnit, Request};

/// One of the requests that are cleared together.
#[derive(Clone, Debug)]
pub struct Order {
    /// What is wanted; its budget is for this request alone.
    pub request: Request,
    /// What was bid for it, and what is left of each unit for this request as long as the others take no more
    /// than they hold.
    pub(crate) book: Arc<Book>,
    /// By provider and unit: what of that it holds already, and gives back where it wins anew. Where only one
    /// order is for a unit, that makes no difference.
    pub held: BTreeMap<(Name, Name), Quantities>,
    /// How many replicas it has, all of which it keeps where it can win no more than that.
    pub has: u32,
}

/// By provider and unit: what has been taken of it beyond what was held.
#[derive(Clone, Debug, Default)]
pub(super) struct Taken(BTreeMap<(Name, Name), Quantities>);

impl Order {
    /// An order of somebody who has and holds nothing. `inventory` says how much of each unit is left: bids on
    /// units that are not in it get nothing.
    #[must_use]
    pub fn new(request: Request, bids: &[ScoredBid], inventory: &[InventoryUnit]) -> Self {
        let book = Arc::new(Book::new(&request.resources, bids, inventory));
        Self { request, book, held: BTreeMap::new(), has: 0 }
    }

    /// What it can win beside what others have taken; nothing is won yet.
    pub(super) fn lots(&self, taken: &Taken) -> Lots {
        // Most often nothing is taken.
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
    /// Whether that is left for an order.
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

/// By provider and unit: how many replicas.
fn counts(won: &[Allocation]) -> BTreeMap<(Name, Name), u32> {
    let mut counts = BTreeMap::new();
    for won in won {
        *counts.entry((won.provider.clone(), won.unit.clone())).or_default() += won.count;
    }
    counts
}
