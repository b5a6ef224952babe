//! Several requests that draw on the same units, each on a budget of its own.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
};

use haggle_model::{Name, Quantities, Resource};

use super::{Allocation, Clearing, ScoredBid, exchange::Lots};
use crate::{InventoryUnit, Request};

/// One of the requests that are cleared together.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    /// What is wanted; its budget is for this request alone.
    pub request: Request,
    /// What was bid for it.
    pub bids: &'a [ScoredBid],
    /// What is left of each unit for this request as long as the others take nothing.
    pub inventory: &'a [InventoryUnit],
    /// By provider and unit: what of that it holds already, and gives back where it wins anew.
    pub held: BTreeMap<(Name, Name), Quantities>,
    /// How many replicas it has, all of which it keeps where it can win no more than that.
    pub has: u32,
}

/// By provider and unit: what has been taken of it beyond what was held.
#[derive(Clone, Debug, Default)]
struct Taken(BTreeMap<(Name, Name), Quantities>);

/// Clearings of all orders, with their total score.
type Solution = (Vec<Clearing>, f64);

/// How much is looked at in search of the best solution, in bids.
const MOST_WORK: usize = 100_000;

/// The most bids of all orders among which the best solution is searched for.
const MOST_SEARCHED: usize = 60;

/// Clears orders one after the other: what one takes is not there for the next, so some may get fewer
/// replicas than they want.
#[must_use]
pub fn clear_in_turn(orders: &[Order<'_>]) -> Vec<Clearing> {
    let places: Vec<usize> = (0..orders.len()).collect();
    in_turn(orders, &places).0
}

/// Gives all orders all that they want, each within its budget and together within what there is, for the
/// highest total score; none if there is no such solution, or none was found. Where no two orders want
/// the same, the best for each is the best for all, and what that would score bounds everything else.
/// Otherwise every order comes first once, and all ways are searched through among so few bids that this
/// is likely to find the best; with more bids, the best of those turns stands. Ties go to the earlier
/// order's best, so the outcome depends on the order of orders, and never on that of the bids.
#[must_use]
pub fn clear_together(orders: &[Order<'_>]) -> Option<Vec<Clearing>> {
    let bound = alone(orders, &Taken::default())?;
    if !is_enough_in_total(orders) {
        return None;
    }
    let mut best: Option<Solution> = None;
    for first in 0..orders.len().max(1) {
        let turns = served_first(orders, first);
        best = match best {
            Some(before) if turns.as_ref().is_none_or(|found| found.1 <= before.1) => Some(before),
            _ => turns,
        };
        if best.as_ref().is_some_and(|(_, score)| *score >= bound - 1e-9 * bound.abs().max(1.0)) {
            return best.map(|(clearings, _)| clearings);
        }
    }
    if orders.iter().map(|order| order.bids.len()).sum::<usize>() <= MOST_SEARCHED {
        let work = Cell::new(MOST_WORK);
        let mut joint = Joint { orders, work: &work, best };
        joint.descend(&mut Vec::new(), &Taken::default(), 0.0);
        best = joint.best;
    }
    best.map(|(clearings, _)| clearings)
}

/// One after the other, that one first. Where that leaves somebody short, it goes before all others, and
/// these find something else if they can.
fn served_first(orders: &[Order<'_>], first: usize) -> Option<Solution> {
    let mut turns: Vec<usize> = (0..orders.len()).collect();
    let mut promoted = BTreeSet::new();
    let mut next = Some(first);
    while let Some(place) = next {
        turns.retain(|turn| *turn != place);
        turns.insert(0, place);
        let (clearings, score) = in_turn(orders, &turns);
        let is_short = |place: &usize| match (orders.get(*place), clearings.get(*place)) {
            (Some(order), Some(clearing)) => clearing.count < order.request.count,
            _ => false,
        };
        let Some(short) = turns.iter().copied().find(is_short) else {
            return Some((clearings, score));
        };
        next = promoted.insert(short).then_some(short);
    }
    None
}

/// Branch and bound over the orders, one after the other.
struct Joint<'a> {
    orders: &'a [Order<'a>],
    /// How many bids may still be looked at.
    work: &'a Cell<usize>,
    best: Option<Solution>,
}

impl Joint<'_> {
    /// Goes through the ways to settle the next order. The last one has nobody to leave anything for.
    fn descend(&mut self, settled: &mut Vec<Clearing>, taken: &Taken, score: f64) {
        let orders = self.orders;
        let Some((next, later)) = orders.get(settled.len()..).and_then(<[_]>::split_first) else {
            return;
        };
        let cost = 4 * (later.len() + 1) * next.bids.len();
        self.work.set(self.work.get().saturating_sub(cost));
        if later.is_empty() {
            let lots = next.settled(taken);
            let total = score + lots.score();
            if lots.count() == next.request.count && total > self.highest() {
                let mut clearings = settled.clone();
                clearings.push(Clearing::of(lots.won()));
                self.best = Some((clearings, total));
            }
            return;
        }
        let Some(beside) = alone(later, taken) else { return };
        let request = &next.request;
        let (count, budget) = (request.count, request.budget_per_hour);
        let (hurdle, work) = (self.highest() - score - beside, self.work);
        let lots = Lots::new(request, next.bids, &taken.left(next));
        lots.visit(count, budget, hurdle, work, &mut |lots, gained| {
            let won = lots.won();
            let mut taken = taken.clone();
            taken.add(next, &won);
            settled.push(Clearing::of(won));
            self.descend(settled, &taken, score + gained);
            settled.pop();
            self.highest() - score - beside
        });
    }

    fn highest(&self) -> f64 {
        self.best.as_ref().map_or(f64::MIN, |(_, score)| *score)
    }
}

impl Order<'_> {
    fn settled(&self, taken: &Taken) -> Lots {
        let mut lots = Lots::new(&self.request, self.bids, &taken.left(self));
        lots.settle(self.request.count, self.request.budget_per_hour);
        lots
    }
}

impl Taken {
    /// What is left of the inventory of an order.
    fn left(&self, order: &Order<'_>) -> Vec<InventoryUnit> {
        let mut stock = order.inventory.to_vec();
        for unit in &mut stock {
            if let Some(taken) = self.0.get(&(unit.provider.clone(), unit.unit.id.clone())) {
                unit.free = unit.free.minus(taken);
            }
        }
        stock
    }

    fn add(&mut self, order: &Order<'_>, won: &[Allocation]) {
        let mut counts: BTreeMap<(Name, Name), u32> = BTreeMap::new();
        for won in won {
            *counts.entry((won.provider.clone(), won.unit.clone())).or_default() += won.count;
        }
        for (unit, count) in counts {
            let mut more = order.request.resources.scaled(f64::from(count));
            if let Some(held) = order.held.get(&unit) {
                more = more.minus(held);
            }
            let taken = self.0.entry(unit).or_default();
            *taken = taken.plus(&more);
        }
    }
}

/// Settles the orders in these turns; the clearings are in the order of the orders.
fn in_turn(orders: &[Order<'_>], turns: &[usize]) -> Solution {
    let mut taken = Taken::default();
    let mut clearings = vec![Clearing::default(); orders.len()];
    let mut score = 0.0;
    for place in turns {
        let (Some(order), Some(clearing)) = (orders.get(*place), clearings.get_mut(*place)) else {
            continue;
        };
        let lots = order.settled(&taken);
        if lots.count() <= order.has {
            continue;
        }
        score += lots.score();
        *clearing = Clearing::of(lots.won());
        taken.add(order, &clearing.allocations);
    }
    (clearings, score)
}

/// What the orders score together if each has what is left to itself; none where one gets too few.
fn alone(orders: &[Order<'_>], taken: &Taken) -> Option<f64> {
    orders.iter().try_fold(0.0, |total, order| {
        let lots = order.settled(taken);
        (lots.count() == order.request.count).then(|| total + lots.score())
    })
}

/// Whether all units together have what all orders together take: if not, nothing need be searched for.
fn is_enough_in_total(orders: &[Order<'_>]) -> bool {
    // What an order gives back is there for itself alone.
    let mut free: BTreeMap<(&Name, &Name), Quantities> = BTreeMap::new();
    let mut has = Quantities::new();
    for order in orders {
        for unit in order.inventory {
            let here = free.entry((&unit.provider, &unit.unit.id)).or_default();
            match order.held.get(&(unit.provider.clone(), unit.unit.id.clone())) {
                Some(held) => {
                    *here = here.max(&unit.free.minus(held));
                    has = has.plus(held);
                }
                None => *here = here.max(&unit.free),
            }
        }
    }
    let has = free.values().fold(has, |sum, free| sum.plus(free));
    let wanted = orders.iter().fold(Quantities::new(), |sum, Order { request, .. }| {
        sum.plus(&request.resources.scaled(f64::from(request.count)))
    });
    Resource::ALL.iter().all(|r| wanted.get(*r) <= has.get(*r) * (1.0 + 1e-9) + 1e-9)
}
