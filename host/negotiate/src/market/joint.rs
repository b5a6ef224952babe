//! Clears several requests that share the same units, each with its own budget.

use std::{cell::Cell, collections::BTreeMap};

use haggle_model::{Name, Quantities, Resource};

use super::{
    Clearing,
    contest::Contest,
    exchange::Lots,
    order::{Order, Taken},
    prices::Prices,
    problem::Problem,
};

/// The clearings of all orders, and their total score.
type Solution = (Vec<Clearing>, f64);

/// The work limit of the exact search, in examined bids.
const MOST_WORK: usize = 100_000;

/// The maximum total number of bids for the exact search.
const MOST_SEARCHED: usize = 60;

/// Clears orders one after another. Capacity that one order takes is not available to the next, so some
/// orders may get fewer replicas than they request.
#[must_use]
pub fn clear_in_turn(orders: &[Order]) -> Vec<Clearing> {
    let places: Vec<usize> = (0..orders.len()).collect();
    in_turn(orders, &places).0
}

/// Clears all orders in full, each within its budget and all within the shared capacity, with the highest
/// total score. Returns `None` if there is no such solution, or if none was found. The separate optima of
/// the orders bound the total score; if no two orders compete, these optima are the solution. Otherwise the
/// function prices the contested capacity. This often proves that there is no solution, or yields a tight
/// bound. A local search then starts from the choices at these prices. If there are few enough bids to find
/// the optimum, an exact search follows. Ties favour the earlier order, so the result depends on the order
/// of `orders`, but not on that of the bids.
#[must_use]
pub fn clear_together(orders: &[Order]) -> Option<Vec<Clearing>> {
    if let [order] = orders {
        let lots = order.settled(&Taken::default());
        return (lots.count() == order.request.count).then(|| vec![Clearing::of(lots.won())]);
    }
    let bound = alone(orders, &Taken::default())?;
    if !is_enough_in_total(orders) {
        return None;
    }
    let places: Vec<usize> = (0..orders.len()).collect();
    let turns = in_turn(orders, &places);
    let mut all = orders.iter().zip(&turns.0);
    let is_all = all.all(|(order, clearing)| clearing.count == order.request.count);
    let mut best = is_all.then_some(turns);
    let is_best = |(_, score): &Solution| *score >= bound - 1e-9 * bound.abs().max(1.0);
    if !best.as_ref().is_some_and(is_best) {
        let problem = Problem::new(orders);
        let Some((prices, choice)) = Prices::find(&problem) else {
            return best.map(|(clearings, _)| clearings);
        };
        let contest = Contest::new(&problem, &prices, &choice);
        let won = contest.run(choice.bound.min(bound / problem.unit_score));
        let found = won.and_then(|won| polished(orders, problem.solved(&won)));
        let highest = best.as_ref().map_or(f64::MIN, |(_, score)| *score);
        best = found.filter(|(_, score)| *score > highest).or(best);
        if orders.iter().map(|order| order.book.lots().len()).sum::<usize>() <= MOST_SEARCHED {
            let work = Cell::new(MOST_WORK);
            let mut joint = Joint { orders, work: &work, best };
            joint.descend(&mut Vec::new(), &Taken::default(), 0.0);
            best = joint.best;
        }
    }
    best.map(|(clearings, _)| clearings)
}

/// Lets the orders, one after another, take the best selection that the others leave, if that is better
/// than the current one. Returns `None` if the result exceeds the capacity.
fn polished(orders: &[Order], mut all: Vec<Lots>) -> Option<Solution> {
    // The amounts that the later orders take.
    let mut later = vec![Taken::default()];
    for (order, lots) in orders.iter().zip(&all).rev() {
        let mut taken = later.last().cloned().unwrap_or_default();
        taken.add(order, &lots.won());
        later.push(taken);
    }
    later.pop();
    let (mut taken, mut clearings, mut score) = (Taken::default(), Vec::new(), 0.0);
    for ((order, lots), later) in orders.iter().zip(&mut all).zip(later.iter().rev()) {
        let better = order.settled(&taken.with(later));
        if better.count() == order.request.count && better.score() > lots.score() {
            *lots = better;
        }
        let won = lots.won();
        if lots.count() != order.request.count || !taken.leaves(order, &won) {
            return None;
        }
        taken.add(order, &won);
        score += lots.score();
        clearings.push(Clearing::of(won));
    }
    Some((clearings, score))
}

/// Branch and bound over the orders, one after another.
struct Joint<'a> {
    orders: &'a [Order],
    /// The remaining work, in examined bids.
    work: &'a Cell<usize>,
    best: Option<Solution>,
}

impl Joint<'_> {
    /// Visits the selections for the next order. The last order takes its optimum directly.
    fn descend(&mut self, settled: &mut Vec<Clearing>, taken: &Taken, score: f64) {
        let orders = self.orders;
        let Some((next, later)) = orders.get(settled.len()..).and_then(<[_]>::split_first) else {
            return;
        };
        let cost = 4 * (later.len() + 1) * next.book.lots().len();
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
        let lots = next.lots(taken);
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

/// Clears the orders in the sequence `turns`. The clearings are returned in the order of `orders`.
fn in_turn(orders: &[Order], turns: &[usize]) -> Solution {
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

/// The total score of the orders if each had the remaining capacity to itself; `None` if one gets too few
/// replicas.
fn alone(orders: &[Order], taken: &Taken) -> Option<f64> {
    orders.iter().try_fold(0.0, |total, order| {
        let lots = order.settled(taken);
        (lots.count() == order.request.count).then(|| total + lots.score())
    })
}

/// Whether the total capacity of all units with bids covers the total request. If it does not, no search is
/// needed.
fn is_enough_in_total(orders: &[Order]) -> bool {
    // Capacity that an order releases is available only to that order.
    let mut free: BTreeMap<(Name, Name), Quantities> = BTreeMap::new();
    let mut has = Quantities::new();
    for order in orders {
        for stock in order.book.stocks() {
            let unit = (stock.provider.clone(), stock.unit.clone());
            let held = order.held.get(&unit);
            let here = free.entry(unit).or_default();
            match held {
                Some(held) => {
                    *here = here.max(&stock.free.minus(held));
                    has = has.plus(held);
                }
                None => *here = here.max(&stock.free),
            }
        }
    }
    let has = free.values().fold(has, |sum, free| sum.plus(free));
    let wanted = orders.iter().fold(Quantities::new(), |sum, Order { request, .. }| {
        sum.plus(&request.resources.scaled(f64::from(request.count)))
    });
    Resource::ALL.iter().all(|r| wanted.get(*r) <= has.get(*r) * (1.0 + 1e-9) + 1e-9)
}
