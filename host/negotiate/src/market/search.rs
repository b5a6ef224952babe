//! The best way to spend a budget that binds, by branch and bound.

use std::cell::Cell;

/// One bid as the search sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    /// Which unit's room it takes.
    pub(super) unit: usize,
    pub(super) most: u32,
    pub(super) price: f64,
    pub(super) score: f64,
}

/// Told of a way to get all replicas, with its score; says what the next one has to exceed.
pub(super) type Visit<'a> = dyn FnMut(&[u32], f64) -> f64 + 'a;

/// What is searched for: exactly so many replicas within the money, of the highest score.
pub(super) struct Search<'a> {
    /// By score less `price_of_money` times price, highest first.
    items: &'a [Item],
    /// The places of the items, cheapest first.
    cheapest: Vec<usize>,
    room: Vec<u32>,
    /// The Lagrange multiplier of the budget: it makes the bound tight.
    price_of_money: f64,
    best_score: f64,
    /// How many items may still be looked at, by all that share it.
    work: &'a Cell<usize>,
}

/// Enough for a few dozen bids; a second at most.
pub(super) const MOST_WORK: usize = 3_000_000;

/// Scores that differ by less are the same.
const CLOSE: f64 = 1e-9;

impl<'a> Search<'a> {
    /// A search for something better than what scores `best_score`.
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

    /// How many replicas each item gets in the best solution, if there is a better one. It is the best of
    /// all unless the work ran out.
    pub(super) fn run(self, count: u32, money: f64) -> Option<Vec<u32>> {
        let mut best = None;
        self.visit(count, money, &mut |taken, score| {
            best = Some(taken.to_vec());
            score
        });
        best
    }

    /// Goes through the solutions that score more than what the visitor has said last.
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

    /// Whether what is left can be afforded, and could be better than the best: the Lagrangian relaxation
    /// of the budget, solved greedily on what is left.
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

    /// What so many replicas are worth in this order; none where there are not so many.
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
