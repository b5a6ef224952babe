//! Clears a single request.

use std::{cell::Cell, cmp::Ordering, sync::Arc};

use haggle_model::{Name, Quantities};

use super::{
    Allocation,
    book::{Book, Lot, by_price, by_score, by_value},
    search::{Item, MOST_WORK, Search},
};

/// The bids of a book, each with the number of replicas that it has won so far.
pub(super) struct Lots {
    book: Arc<Book>,
    /// In the order of the book, except during a search.
    lots: Vec<Lot>,
    /// The remaining room of each stock of the book, in replicas.
    left: Vec<u32>,
}

/// The number of bisection steps for the price of money.
const HALVINGS: usize = 50;

/// The minimum number of bids that are sorted at once.
const FEW: usize = 64;

/// The maximum number of pairs of bids that the exchange examines.
const MOST_PAIRS: usize = 2_000_000;

/// The maximum number of bids for the exact search.
const MOST_SEARCHED: usize = 200;

/// The rounding tolerance of a budget, so that rounding does not exclude a bid.
pub(super) fn slack(budget: f64) -> f64 {
    1e-9 * budget.max(1.0)
}

impl Book {
    /// The maximum number of replicas within a budget, up to `count`.
    pub(crate) fn most(self: &Arc<Self>, count: u32, budget: Option<f64>) -> u32 {
        let mut lots = Lots::new(self, |_, _| None);
        lots.take_most(count, budget);
        lots.count()
    }
}

impl Lots {
    /// Creates lots without winners. `taken` returns the amount that others have taken of a unit.
    pub(super) fn new<'a>(
        book: &Arc<Book>,
        taken: impl Fn(&Name, &Name) -> Option<&'a Quantities>,
    ) -> Self {
        let room = |stock| book.room_beside(stock, taken(&stock.provider, &stock.unit));
        let left = book.stocks().iter().map(room).collect();
        Self { book: Arc::clone(book), lots: book.lots().to_vec(), left }
    }

    /// Selects by score alone first. If that exceeds the budget, or if the budget limits the number of
    /// replicas, the budget gets a price (a Lagrange multiplier) at which the greedy selection just
    /// respects it. Exchanges improve the result. Branch and bound then improves it further, unless the
    /// bound shows that no improvement is possible.
    pub(super) fn settle(&mut self, count: u32, budget: Option<f64>) {
        let Some(budget) = budget else {
            self.take_best(count);
            return;
        };
        self.take(by_price, count, budget);
        let affordable = self.count();
        let mut best = self.solution();
        self.give_back();
        self.take_best(affordable);
        if self.cost() <= budget + slack(budget) {
            return;
        }
        let (mut low, mut high) = (0.0, self.steepest());
        let mut bound = f64::INFINITY;
        for _ in 0..HALVINGS {
            let price = f64::midpoint(low, high);
            self.give_back();
            self.take(by_value(price), affordable, f64::INFINITY);
            bound = bound.min(self.score() + price * (budget - self.cost()));
            if self.cost() <= budget + slack(budget) {
                best = self.solution();
                high = price;
            } else {
                low = price;
            }
        }
        self.restore(&best);
        self.exchange(budget);
        let score = self.score();
        if self.lots.len() <= MOST_SEARCHED && bound - score > 1e-9 * score.abs().max(1.0) {
            self.search(budget, high);
        }
    }

    /// Selects the largest possible number of replicas, regardless of score.
    pub(super) fn take_most(&mut self, count: u32, budget: Option<f64>) {
        match budget {
            Some(budget) => self.take(by_price, count, budget),
            None => self.take_best(count),
        }
    }

    /// Searches for the optimum, if there are few enough bids that it is likely to be found.
    fn search(&mut self, budget: f64, price_of_money: f64) {
        self.lots.sort_by(by_value(price_of_money));
        let items = self.items();
        let (score, count) = (self.score(), self.count());
        let before: Vec<u32> = self.lots.iter().map(|lot| lot.won).collect();
        self.give_back();
        let room = self.left.clone();
        let work = Cell::new(MOST_WORK);
        let search = Search::new(&items, room, price_of_money, score, &work);
        let best = search.run(count, budget + slack(budget)).unwrap_or(before);
        for (place, won) in best.into_iter().enumerate() {
            self.shift(place, i64::from(won));
        }
    }

    /// Visits the selections of exactly `count` replicas within the budget whose score exceeds the last
    /// value returned by the visitor, initially `hurdle`. Stops when the work budget is used up.
    pub(super) fn visit(
        mut self,
        count: u32,
        budget: Option<f64>,
        hurdle: f64,
        work: &Cell<usize>,
        visit: &mut dyn FnMut(&Self, f64) -> f64,
    ) {
        self.lots.sort_by(by_score);
        let items = self.items();
        let search = Search::new(&items, self.left.clone(), 0.0, hurdle, work);
        let money = budget.map_or(f64::INFINITY, |budget| budget + slack(budget));
        search.visit(count, money, &mut |taken, score| {
            self.restore(taken);
            visit(&self, score)
        });
    }

    pub(super) fn items(&self) -> Vec<Item> {
        let item =
            |lot: &Lot| Item { unit: lot.unit, most: lot.most, price: lot.price, score: lot.score };
        self.lots.iter().map(item).collect()
    }

    /// The price of money above which only the price of a bid matters.
    fn steepest(&self) -> f64 {
        let mut lots: Vec<&Lot> = self.lots.iter().collect();
        lots.sort_by(|a, b| a.price.total_cmp(&b.price));
        let gaps = lots.iter().zip(lots.iter().skip(1)).map(|(a, b)| b.price - a.price);
        let gap = gaps.filter(|gap| *gap > 0.0).fold(f64::INFINITY, f64::min);
        let scores = || self.lots.iter().map(|lot| lot.score);
        let range = scores().fold(f64::MIN, f64::max) - scores().fold(f64::MAX, f64::min);
        let steepest = 2.0 * range / gap;
        if steepest.is_finite() { steepest.max(1e-9) } else { 1.0 }
    }

    /// The number of replicas that still fit into a stock of the book.
    pub(super) fn room(&self, stock: usize) -> u32 {
        self.left.get(stock).copied().unwrap_or(0)
    }

    /// The number of replicas that every lot has won, by lot id.
    fn solution(&self) -> Vec<u32> {
        let mut won: Vec<(usize, u32)> = self.lots.iter().map(|lot| (lot.id, lot.won)).collect();
        won.sort_unstable();
        won.into_iter().map(|(_, won)| won).collect()
    }

    pub(super) fn restore(&mut self, solution: &[u32]) {
        self.give_back();
        self.lots.sort_by_key(|lot| lot.id);
        for (place, won) in solution.iter().enumerate() {
            self.shift(place, i64::from(*won));
        }
    }

    /// The winners, sorted by provider and unit; the best bid of a unit first.
    pub(super) fn won(&self) -> Vec<Allocation> {
        let mut lots: Vec<&Lot> = self.lots.iter().filter(|lot| lot.won > 0).collect();
        lots.sort_by(|a, b| a.unit.cmp(&b.unit).then_with(|| by_score(a, b)));
        let allocation = |lot: &Lot| {
            let stock = self.book.stocks().get(lot.unit)?;
            let (provider, unit) = (stock.provider.clone(), stock.unit.clone());
            Some(Allocation { provider, unit, count: lot.won, price_per_hour: lot.price })
        };
        lots.into_iter().filter_map(allocation).collect()
    }

    /// Selects up to `count` replicas by score, regardless of price. The lots must be in that order.
    fn take_best(&mut self, count: u32) {
        let (mut wanted, mut money) = (count, f64::INFINITY);
        for place in 0..self.lots.len() {
            if wanted == 0 {
                return;
            }
            self.take_of(place, &mut wanted, &mut money);
        }
    }

    /// Selects up to `count` replicas in the given order within the money. Bids that share a unit form a
    /// laminar matroid, so this greedy selection is optimal for its order. The function sorts only as many
    /// bids as it needs.
    fn take(&mut self, order: impl Fn(&Lot, &Lot) -> Ordering, count: u32, money: f64) {
        let lots = self.lots.clone();
        let mut all: Vec<(usize, &Lot)> = lots.iter().enumerate().collect();
        let (mut wanted, mut money) = (count, money + slack(money));
        let mut rest = all.as_mut_slice();
        while wanted > 0 && !rest.is_empty() {
            let first = (wanted as usize).max(FEW).min(rest.len());
            if first < rest.len() {
                rest.select_nth_unstable_by(first, |a, b| order(a.1, b.1));
            }
            let Some((next, later)) = rest.split_at_mut_checked(first) else { return };
            next.sort_unstable_by(|a, b| order(a.1, b.1));
            for (place, _) in next {
                self.take_of(*place, &mut wanted, &mut money);
            }
            rest = later;
        }
    }

    /// Selects from one lot as many replicas as are requested, available and affordable.
    fn take_of(&mut self, place: usize, wanted: &mut u32, money: &mut f64) {
        let Some(price) = self.lots.get(place).map(|lot| lot.price) else { return };
        let payable = if price > 0.0 { (*money / price).floor().max(0.0) } else { f64::INFINITY };
        let n = self.addable(place).min(*wanted).min(payable.min(f64::from(u32::MAX)) as u32);
        if n > 0 {
            self.shift(place, i64::from(n));
            *wanted -= n;
            *money -= f64::from(n) * price;
        }
    }

    fn give_back(&mut self) {
        for place in 0..self.lots.len() {
            let won = self.lots.get(place).map_or(0, |lot| lot.won);
            self.shift(place, -i64::from(won));
        }
    }

    /// Moves replicas from worse bids to better ones while the money lasts, the best gain per cost first.
    /// Every move raises the total score, so the loop ends. The limits cover scores that differ only by
    /// rounding, and numbers of bids for which all pairs would take too long.
    fn exchange(&mut self, budget: f64) {
        let most_moves = 4 * self.lots.len() * self.lots.len();
        let mut pairs = 0;
        for _ in 0..most_moves {
            let winners = self.lots.iter().filter(|lot| lot.won > 0).count();
            pairs += winners * self.lots.len();
            if pairs > MOST_PAIRS {
                return;
            }
            let money = budget + slack(budget) - self.cost();
            let mut best: Option<(f64, usize, usize, u32)> = None;
            let winners =
                || (0..self.lots.len()).filter(|i| self.lots.get(*i).is_some_and(|l| l.won > 0));
            for from in winners() {
                for to in 0..self.lots.len() {
                    if let Some((rate, n)) = self.gain(from, to, money)
                        && best.is_none_or(|(highest, ..)| rate > highest)
                    {
                        best = Some((rate, from, to, n));
                    }
                }
            }
            let Some((_, from, to, n)) = best else { return };
            self.shift(from, -i64::from(n));
            self.shift(to, i64::from(n));
        }
    }

    /// The gain per unit of money of moving replicas from one bid to another, and the number that can move.
    fn gain(&self, from: usize, to: usize, money: f64) -> Option<(f64, u32)> {
        let (a, b) = (self.lots.get(from)?, self.lots.get(to)?);
        let (gain, cost) = (b.score - a.score, b.price - a.price);
        let better = gain > 0.0 || (gain == 0.0 && cost < 0.0);
        if a.won == 0 || !better {
            return None;
        }
        let addable = if a.unit == b.unit { b.most - b.won } else { self.addable(to) };
        let payable = if cost > 0.0 { (money / cost).floor().max(0.0) } else { f64::INFINITY };
        let n = a.won.min(addable).min(payable.min(f64::from(u32::MAX)) as u32);
        let rate = if cost > 0.0 { gain / cost } else { f64::INFINITY };
        (n > 0).then_some((rate, n))
    }

    fn addable(&self, place: usize) -> u32 {
        self.lots.get(place).map_or(0, |lot| {
            let left = self.left.get(lot.unit).copied().unwrap_or(0);
            left.min(lot.most.saturating_sub(lot.won))
        })
    }

    fn shift(&mut self, place: usize, by: i64) {
        let Some(lot) = self.lots.get_mut(place) else { return };
        let Some(left) = self.left.get_mut(lot.unit) else { return };
        let shifted = |n: u32, by: i64| u32::try_from(i64::from(n) + by).unwrap_or(0);
        lot.won = shifted(lot.won, by);
        *left = shifted(*left, -by);
    }

    pub(super) fn count(&self) -> u32 {
        self.lots.iter().map(|lot| lot.won).sum()
    }

    pub(super) fn score(&self) -> f64 {
        self.lots.iter().map(|lot| f64::from(lot.won) * lot.score).sum()
    }

    fn cost(&self) -> f64 {
        self.lots.iter().map(|lot| f64::from(lot.won) * lot.price).sum()
    }
}
