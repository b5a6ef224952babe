//! The bids for one request and the units they refer to, sorted once for all clearings of the request.

use std::cmp::Ordering;

use haggle_model::{Name, Quantities};

use super::{ScoredBid, pooled};
use crate::InventoryUnit;

/// The bids for one request, indexed. The size depends on the number of bids, not on the size of the
/// inventory.
#[derive(Clone, Debug)]
pub(crate) struct Book {
    /// The resources of one replica.
    resources: Quantities,
    /// The units with bids, sorted by provider and name.
    stocks: Vec<Stock>,
    /// The bids, best score first.
    lots: Vec<Lot>,
}

/// The free capacity of a unit with bids.
#[derive(Clone, Debug)]
pub(super) struct Stock {
    pub(super) provider: Name,
    pub(super) unit: Name,
    pub(super) free: Quantities,
    /// The number of replicas that fit into all machines together while they are empty.
    whole: u32,
}

/// A bid with the number of replicas that it has won so far.
#[derive(Clone, Debug)]
pub(super) struct Lot {
    /// The index among the stocks; lots therefore compare by provider and unit.
    pub(super) unit: usize,
    pub(super) most: u32,
    pub(super) price: f64,
    pub(super) score: f64,
    pub(super) won: u32,
    /// The rank by score, price and name.
    pub(super) id: usize,
}

impl Book {
    /// Builds the book. Ignores bids on units outside the inventory and bids without a finite score. Of
    /// units with the same name, the first counts.
    pub(crate) fn new<'a>(
        resources: &Quantities,
        bids: &[ScoredBid],
        inventory: impl IntoIterator<Item = &'a InventoryUnit>,
    ) -> Self {
        let key = |unit: &&'a InventoryUnit| (unit.provider.as_str(), unit.unit.id.as_str());
        let mut all: Vec<&InventoryUnit> = inventory.into_iter().collect();
        all.sort_by_key(key);
        all.dedup_by_key(|unit| key(unit));
        let mut lots = Vec::with_capacity(bids.len());
        for ScoredBid { bid, score } in bids.iter().filter(|scored| scored.score.is_finite()) {
            let wanted = (bid.provider.as_str(), bid.unit.as_str());
            if let Ok(unit) = all.binary_search_by_key(&wanted, key) {
                let (most, price) = (bid.count, bid.price_per_hour);
                lots.push(Lot { unit, most, price, score: *score, won: 0, id: 0 });
            }
        }
        let mut used: Vec<usize> = lots.iter().map(|lot| lot.unit).collect();
        used.sort_unstable();
        used.dedup();
        for lot in &mut lots {
            lot.unit = used.binary_search(&lot.unit).unwrap_or(usize::MAX);
        }
        let stock = |unit: &InventoryUnit| Stock {
            provider: unit.provider.clone(),
            unit: unit.unit.id.clone(),
            free: unit.free.clone(),
            whole: unit.unit.fits(resources).saturating_mul(unit.unit.count),
        };
        let stocks =
            used.iter().filter_map(|place| all.get(*place)).map(|unit| stock(unit)).collect();
        // The sort makes the result independent of the order of the bids.
        lots.sort_by(by_score);
        lots.iter_mut().enumerate().for_each(|(id, lot)| lot.id = id);
        Self { resources: resources.clone(), stocks, lots }
    }

    /// The valid bids, best score first, without winners.
    pub(super) fn lots(&self) -> &[Lot] {
        &self.lots
    }

    /// The units with bids, sorted by provider and name.
    pub(super) fn stocks(&self) -> &[Stock] {
        &self.stocks
    }

    /// The index of a unit among the stocks.
    pub(crate) fn place(&self, provider: &Name, unit: &Name) -> Option<usize> {
        let wanted = (provider.as_str(), unit.as_str());
        let key = |stock: &Stock| (stock.provider.as_str(), stock.unit.as_str()).cmp(&wanted);
        self.stocks.binary_search_by(key).ok()
    }

    /// Sets the free capacity of a unit.
    pub(crate) fn set_free(&mut self, place: usize, free: Quantities) {
        self.stocks.get_mut(place).into_iter().for_each(|stock| stock.free = free.clone());
    }

    /// The number of replicas that fit into the free capacity of a stock after `taken` is also subtracted.
    pub(super) fn room_beside(&self, stock: &Stock, taken: Option<&Quantities>) -> u32 {
        match taken {
            Some(taken) => stock.whole.min(pooled(&stock.free.minus(taken), &self.resources)),
            None => stock.whole.min(pooled(&stock.free, &self.resources)),
        }
    }
}

pub(super) fn by_score(a: &Lot, b: &Lot) -> Ordering {
    b.score.total_cmp(&a.score).then(a.price.total_cmp(&b.price)).then_with(|| by_name(a, b))
}

/// Orders lots by the value of a replica, given the price of money.
pub(super) fn by_value(price: f64) -> impl Fn(&Lot, &Lot) -> Ordering {
    move |a, b| {
        let value = |lot: &Lot| lot.score - price * lot.price;
        value(b).total_cmp(&value(a)).then_with(|| by_price(a, b))
    }
}

pub(super) fn by_price(a: &Lot, b: &Lot) -> Ordering {
    a.price.total_cmp(&b.price).then(b.score.total_cmp(&a.score)).then_with(|| by_name(a, b))
}

fn by_name(a: &Lot, b: &Lot) -> Ordering {
    a.unit.cmp(&b.unit).then(b.most.cmp(&a.most)).then(a.id.cmp(&b.id))
}
