//! Branch and bound for the best selection under a binding budget.

use std::cell::Cell;

/// One bid in the search.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    /// The index of the unit whose room it takes.
    pub(super) unit: usize,
    pub(super) most: u32,
    pub(super) price: f64,
    pub(super) score: f64,
}

/// Receives a complete selection and its score. Returns the score that the next selection must exceed.
pub(super) type Visit<'a> = dyn FnMut(&[u32], f64) -> f64 + 'a;

/// A search for exactly `count` replicas within the money, with the highest score.
pub(super) struct Search<'a> {
    /// Sorted by score minus `price_of_money` times price, highest first.
    items: &'a [Item],
    /// The indices of the items, cheapest first.
    cheapest: Vec<usize>,
    room: Vec<u32>,
    /// The Lagrange multiplier of the budget, which makes the bound tight.
    price_of_money: f64,
    best_score: f64,
    /// The remaining work, in examined items, shared by several searches.
    work: &'a Cell<usize>,
}

/// Enough for a few dozen bids; takes at most a second.
pub(super) const MOST_WORK: usize = 3_000_000;

/// Scores that differ by less than this, relatively, are equal.
const CLOSE: f64 = 1e-9;

impl<'a> Search<'a> {
    /// Creates a search for a selection with a score above `best_score`.
    pub(super) fn new(
        items: &'a [Item],
        room: Vec<u32>,
        price_of_money: f64,
        best_score: f64,
        work: &'a Cell<usize>,
    ) -> Self {
        let mut cheapest: Vec<usize> = (0..items.len()).collect();
        cheapest.sort_by(|a, b| {
            let price = |place: &usize| items.get(*place).map_or(0.0, |item| item.price);
            price(a).total_cmp(&price(b)).then(a.cmp(b))
        });
        let best_score = best_score + CLOSE * best_score.abs().max(1.0);
        Self { items, cheapest, room, price_of_money, best_score, work }
    }

    /// The number of replicas by item in the best selection; `None` if none is better than `best_score`.
    /// The result is optimal unless the work limit was reached.
    pub(super) fn run(self, count: u32, money: f64) -> Option<Vec<u32>> {
        let mut best = None;
        self.visit(count, money, &mut |taken, score| {
            best = Some(taken.to_vec());
            score
        });
        best
    }

    /// Visits the selections whose score exceeds the last value returned by the visitor.
    pub(super) fn visit(mut self, count: u32, money: f64, visit: &mut Visit<'_>) {
        let mut taken = vec![0; self.items.len()];
        self.descend(0, count, (money, 0.0), &mut taken, visit);
    }

    fn descend(
        &mut self,
        place: usize,
        count: u32,
        (money, score): (f64, f64),
        taken: &mut Vec<u32>,
        visit: &mut Visit<'_>,
    ) {
        if count == 0 {
            if score > self.best_score {
                let best = visit(taken, score);
                self.best_score = best + CLOSE * best.abs().max(1.0);
            }
            return;
        }
        let Some(item) = self.items.get(place).copied() else { return };
        if !self.is_worthwhile(place, count, money, score) {
            return;
        }
        let room = self.room.get(item.unit).copied().unwrap_or(0);
        let payable = match item.price > 0.0 {
            true => (money / item.price).floor().clamp(0.0, f64::from(u32::MAX)) as u32,
            false => u32::MAX,
        };
        let most = item.most.min(room).min(count).min(payable);
        for n in (0..=most).rev() {
            if self.work.get() == 0 {
                return;
            }
            self.take(place, item.unit, n, taken, false);
            let spent = f64::from(n) * item.price;
            let gained = f64::from(n) * item.score;
            self.descend(place + 1, count - n, (money - spent, score + gained), taken, visit);
            self.take(place, item.unit, n, taken, true);
        }
    }

    fn take(&mut self, place: usize, unit: usize, n: u32, taken: &mut [u32], back: bool) {
        if let Some(room) = self.room.get_mut(unit) {
            *room = if back { *room + n } else { room.saturating_sub(n) };
        }
        if let Some(taken) = taken.get_mut(place) {
            *taken = if back { 0 } else { n };
        }
    }

    /// Whether the remaining replicas are affordable and could improve on the best score. The test solves
    /// the Lagrangian relaxation of the budget greedily for the remaining items.
    fn is_worthwhile(&self, place: usize, count: u32, money: f64, score: f64) -> bool {
        self.work.set(self.work.get().saturating_sub(2 * (self.items.len() - place)));
        let rest = (place..self.items.len()).collect::<Vec<_>>();
        let value = |item: &Item| item.score - self.price_of_money * item.price;
        let Some(gain) = self.fill(&rest, count, value) else { return false };
        if score + gain + self.price_of_money * money <= self.best_score {
            return false;
        }
        let affordable: Vec<usize> =
            self.cheapest.iter().copied().filter(|other| *other >= place).collect();
        let cost = self.fill(&affordable, count, |item| item.price);
        cost.is_some_and(|cost| cost <= money)
    }

    /// The total value of `count` replicas taken in this order; `None` if there are not enough.
    fn fill(&self, order: &[usize], mut count: u32, value: impl Fn(&Item) -> f64) -> Option<f64> {
        let mut room = self.room.clone();
        let mut total = 0.0;
        for item in order.iter().filter_map(|place| self.items.get(*place)) {
            let left = room.get_mut(item.unit)?;
            let n = item.most.min(*left).min(count);
            *left -= n;
            count -= n;
            total += f64::from(n) * value(item);
            if count == 0 {
                return Some(total);
            }
        }
        None
    }
}
