//! A numeric representation of several orders, for the algorithms that try many ways to divide the same
//! units.

use std::{collections::BTreeMap, ops::Range};

use haggle_model::{Name, Quantities, Resource};

use super::{
    book::Stock,
    exchange::{Lots, slack},
    order::{Order, Taken},
};

/// The capacity and the offers. Amounts are normalised: 1 is the average amount that a replica takes, the
/// average price of an order's bids, or the average score range of an order.
#[derive(Default)]
pub(super) struct Problem {
    pub(super) sides: Vec<Side>,
    pub(super) sites: Vec<Site>,
    pub(super) offers: Vec<Offer>,
    /// The pools; each is one resource of one unit.
    pub(super) pools: Vec<Pool>,
    /// The original score that corresponds to a normalised score of 1.
    pub(super) unit_score: f64,
    /// A lower bound on the score of every solution.
    pub(super) least_score: f64,
    /// The lots by order.
    lots: Vec<Lots>,
}

/// One order.
pub(super) struct Side {
    pub(super) count: u32,
    pub(super) money: Option<f64>,
    pub(super) offers: Range<usize>,
}

/// One unit as seen by one order.
pub(super) struct Site {
    pub(super) side: usize,
    /// The maximum number of replicas that fit if no other order takes anything.
    pub(super) most: u32,
    pub(super) takes: Vec<Take>,
}

/// The amount of a pool that each replica at a site takes.
pub(super) struct Take {
    pub(super) pool: usize,
    pub(super) each: f64,
    /// The amount of the pool that the order already holds; only the excess over it is taken.
    held: f64,
}

/// One bid.
pub(super) struct Offer {
    pub(super) site: usize,
    pub(super) most: u32,
    pub(super) price: f64,
    pub(super) score: f64,
}

pub(super) struct Pool {
    /// The amount available to all orders.
    pub(super) free: f64,
    /// The total amount, including everything that is held.
    pub(super) most: f64,
    pub(super) sites: Vec<usize>,
}

/// The pool index by unit and resource.
type Places = BTreeMap<(Name, Name, Resource), usize>;

impl Take {
    /// The amount that this number of replicas takes beyond the held amount.
    pub(super) fn of(&self, count: u32) -> f64 {
        (f64::from(count) * self.each - self.held).max(0.0)
    }
}

impl Problem {
    pub(super) fn new(orders: &[Order]) -> Self {
        let size = |resource: &Resource| {
            let sizes = orders.iter().map(|order| order.request.resources.get(*resource));
            (*resource, mean(sizes))
        };
        let sizes: BTreeMap<Resource, f64> = Resource::ALL.iter().map(size).collect();
        let (mut problem, mut places) = (Self::default(), Places::new());
        for order in orders {
            problem.add(order, &sizes, &mut places);
        }
        // Held amounts are in addition to the amount available to all.
        for take in problem.sites.iter().flat_map(|site| &site.takes) {
            if let Some(pool) = problem.pools.get_mut(take.pool) {
                pool.most += take.held;
            }
        }
        let scores = |side: &Side| {
            let scores = problem.of(side).map(|(_, offer)| offer.score);
            scores.fold((f64::MAX, f64::MIN), |(least, most), s| (least.min(s), most.max(s)))
        };
        let range = mean(problem.sides.iter().map(scores).map(|(least, most)| most - least));
        let least = problem.sides.iter().filter(|side| side.count > 0);
        problem.least_score =
            least.map(|side| scores(side).0 * f64::from(side.count)).sum::<f64>() / range;
        problem.offers.iter_mut().for_each(|offer| offer.score /= range);
        problem.unit_score = range;
        problem
    }

    fn add(&mut self, order: &Order, sizes: &BTreeMap<Resource, f64>, places: &mut Places) {
        let lots = order.lots(&Taken::default());
        let items = lots.items();
        let unit_price = mean(items.iter().map(|item| item.price));
        let (first, mut sites) = (self.offers.len(), BTreeMap::new());
        for item in &items {
            let site = *sites.entry(item.unit).or_insert(self.sites.len());
            if site == self.sites.len() {
                let Some(stock) = order.book.stocks().get(item.unit) else { continue };
                let most = lots.room(item.unit);
                let takes = self.takes_of(order, stock, sizes, places);
                self.sites.push(Site { side: self.sides.len(), most, takes });
            }
            let price = item.price / unit_price;
            self.offers.push(Offer { site, most: item.most, price, score: item.score });
        }
        let money = order.request.budget_per_hour;
        self.sides.push(Side {
            count: order.request.count,
            money: money.map(|budget| (budget + slack(budget)) / unit_price),
            offers: first..self.offers.len(),
        });
        self.lots.push(lots);
    }

    /// The amounts that the replicas of an order take of a unit. They belong to the next site.
    fn takes_of(
        &mut self,
        order: &Order,
        Stock { provider, unit, free, .. }: &Stock,
        sizes: &BTreeMap<Resource, f64>,
        places: &mut Places,
    ) -> Vec<Take> {
        let site = self.sites.len();
        let held = order.held.get(&(provider.clone(), unit.clone()));
        let get = |all: Option<&Quantities>, r| all.map_or(0.0, |all| all.get(r));
        let mut takes = Vec::new();
        for (resource, each) in order.request.resources.iter().filter(|(_, each)| *each > 0.0) {
            let size = sizes.get(&resource).copied().unwrap_or(1.0);
            let free = free.get(resource) / size;
            let held = (get(held, resource) / size).min(free);
            let key = (provider.clone(), unit.clone(), resource);
            let pool = *places.entry(key).or_insert(self.pools.len());
            if pool == self.pools.len() {
                self.pools.push(Pool { free: f64::MAX, most: 0.0, sites: Vec::new() });
            }
            if let Some(pool) = self.pools.get_mut(pool) {
                pool.free = pool.free.min(free - held);
                pool.most = pool.most.max(free - held);
                pool.sites.push(site);
            }
            takes.push(Take { pool, each: each / size, held });
        }
        takes
    }

    /// The offers of an order with their indices.
    pub(super) fn of(&self, side: &Side) -> impl Iterator<Item = (usize, &Offer)> {
        side.offers.clone().zip(self.offers.get(side.offers.clone()).unwrap_or_default())
    }

    pub(super) fn takes(&self, site: usize) -> &[Take] {
        self.sites.get(site).map_or(&[], |site| &site.takes)
    }

    /// Applies the number of won replicas by offer, and returns the lots of each order.
    pub(super) fn solved(mut self, won: &[u32]) -> Vec<Lots> {
        for (side, lots) in self.sides.iter().zip(&mut self.lots) {
            lots.restore(won.get(side.offers.clone()).unwrap_or_default());
        }
        self.lots
    }
}

/// The mean of the values above 0; 1 if there are none.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values = values.filter(|value| *value > 0.0);
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { 1.0 }
}
