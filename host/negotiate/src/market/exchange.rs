use std::{cmp::Ordering, collections::BTreeMap};

use haggle_model::Name;

use super::{Allocation, ScoredBid, admission::find, room};
use crate::{InventoryUnit, Request};

/// The bids with what each has won so far.
pub(super) struct Lots {
    lots: Vec<Lot>,
    /// What is left of each unit, in replicas.
    left: BTreeMap<(Name, Name), u32>,
}

#[derive(Clone)]
struct Lot {
    key: (Name, Name),
    most: u32,
    price: f64,
    score: f64,
    won: u32,
}

/// Money within rounding: nobody loses a deal to the last bit.
fn slack(budget: f64) -> f64 {
    1e-9 * budget.max(1.0)
}

impl Lots {
    pub(super) fn new(request: &Request, bids: &[ScoredBid], stock: &[InventoryUnit]) -> Self {
        let mut left = BTreeMap::new();
        let mut lots = Vec::new();
        for ScoredBid { bid, score } in bids {
            let Some(unit) = find(bid, stock).filter(|_| score.is_finite()) else { continue };
            let key = (unit.provider.clone(), unit.unit.id.clone());
            left.entry(key.clone()).or_insert_with(|| room(unit, &request.resources));
            lots.push(Lot {
                key,
                most: bid.count,
                price: bid.price_per_hour,
                score: *score,
                won: 0,
            });
        }
        Self { lots, left }
    }

    /// First by score alone. Where that misses the budget, or replicas because of it, from the cheapest
    /// solution upwards.
    pub(super) fn settle(&mut self, count: u32, budget: Option<f64>) {
        let Some(budget) = budget else {
            self.take(by_score, count, f64::INFINITY);
            return;
        };
        self.take(by_price, count, budget);
        let affordable: u32 = self.lots.iter().map(|lot| lot.won).sum();
        let cheapest: Vec<u32> = self.lots.iter().map(|lot| lot.won).collect();
        self.give_back();
        self.take(by_score, affordable, f64::INFINITY);
        if self.cost() <= budget + slack(budget) {
            return;
        }
        self.give_back();
        self.lots.sort_by(by_price);
        for (place, won) in cheapest.into_iter().enumerate() {
            self.shift(place, i64::from(won));
        }
        self.exchange(budget);
    }

    /// The winners by provider and unit, the best bid of a unit first.
    pub(super) fn won(mut self) -> impl Iterator<Item = Allocation> {
        self.lots.sort_by(|a, b| a.key.cmp(&b.key).then_with(|| by_score(a, b)));
        self.lots.into_iter().filter(|lot| lot.won > 0).map(|lot| Allocation {
            provider: lot.key.0,
            unit: lot.key.1,
            count: lot.won,
            price_per_hour: lot.price,
        })
    }

    /// Takes up to `count` in that order, as far as the money goes. Bids that share a unit form a laminar
    /// matroid, on which such a greedy choice is the best one for its order.
    fn take(&mut self, order: fn(&Lot, &Lot) -> Ordering, count: u32, money: f64) {
        self.lots.sort_by(order);
        let (mut wanted, mut money) = (count, money + slack(money));
        for place in 0..self.lots.len() {
            let Some(lot) = self.lots.get(place) else { continue };
            let price = lot.price;
            let payable =
                if price > 0.0 { (money / price).floor().max(0.0) } else { f64::INFINITY };
            let n = wanted.min(self.addable(place)).min(payable.min(f64::from(u32::MAX)) as u32);
            self.shift(place, i64::from(n));
            wanted -= n;
            if n > 0 {
                money -= f64::from(n) * price;
            }
        }
    }

    fn give_back(&mut self) {
        for place in 0..self.lots.len() {
            let won = self.lots.get(place).map_or(0, |lot| lot.won);
            self.shift(place, -i64::from(won));
        }
    }

    /// Moves replicas from worse bids to better ones while the money lasts: first the moves that gain
    /// most for what they cost. Every move raises the total score, so this ends; the bound is for scores
    /// that differ by rounding only.
    fn exchange(&mut self, budget: f64) {
        let most_moves = 4 * self.lots.len() * self.lots.len();
        for _ in 0..most_moves {
            let money = budget + slack(budget) - self.cost();
            let mut best: Option<(f64, usize, usize, u32)> = None;
            for from in 0..self.lots.len() {
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

    /// What moving replicas from one bid to another gains for each unit of money, and how many can move.
    fn gain(&self, from: usize, to: usize, money: f64) -> Option<(f64, u32)> {
        let (a, b) = (self.lots.get(from)?, self.lots.get(to)?);
        let (gain, cost) = (b.score - a.score, b.price - a.price);
        let better = gain > 0.0 || (gain == 0.0 && cost < 0.0);
        if a.won == 0 || !better {
            return None;
        }
        let addable = if a.key == b.key { b.most - b.won } else { self.addable(to) };
        let payable = if cost > 0.0 { (money / cost).floor().max(0.0) } else { f64::INFINITY };
        let n = a.won.min(addable).min(payable.min(f64::from(u32::MAX)) as u32);
        let rate = if cost > 0.0 { gain / cost } else { f64::INFINITY };
        (n > 0).then_some((rate, n))
    }

    fn addable(&self, place: usize) -> u32 {
        self.lots.get(place).map_or(0, |lot| {
            let left = self.left.get(&lot.key).copied().unwrap_or(0);
            left.min(lot.most.saturating_sub(lot.won))
        })
    }

    fn shift(&mut self, place: usize, by: i64) {
        let Some(lot) = self.lots.get_mut(place) else { return };
        let Some(left) = self.left.get_mut(&lot.key) else { return };
        let shifted = |n: u32, by: i64| u32::try_from(i64::from(n) + by).unwrap_or(0);
        lot.won = shifted(lot.won, by);
        *left = shifted(*left, -by);
    }

    fn cost(&self) -> f64 {
        self.lots.iter().map(|lot| f64::from(lot.won) * lot.price).sum()
    }
}

fn by_score(a: &Lot, b: &Lot) -> Ordering {
    b.score.total_cmp(&a.score).then(a.price.total_cmp(&b.price)).then_with(|| by_name(a, b))
}

fn by_price(a: &Lot, b: &Lot) -> Ordering {
    a.price.total_cmp(&b.price).then(b.score.total_cmp(&a.score)).then_with(|| by_name(a, b))
}

fn by_name(a: &Lot, b: &Lot) -> Ordering {
    a.key.cmp(&b.key).then(b.most.cmp(&a.most))
}
