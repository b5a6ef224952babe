//! A purchase together with its bids, and the explanation of a shortage.

use std::{collections::BTreeMap, sync::Arc};

use super::buying::Purchase;
use crate::{Request, Spread, market::Book, room};

/// The purchase of one service, with its bids indexed for clearing.
pub(super) struct Offered<'a> {
    pub(super) purchase: &'a Purchase,
    pub(super) book: Arc<Book>,
}

/// The maximum number of provider problems that an explanation lists.
const MOST_TROUBLES: usize = 10;

impl<'a> Offered<'a> {
    /// Indexes the bids once for all clearings of the purchase.
    pub(super) fn new(purchase: &'a Purchase) -> Self {
        let Purchase { request, bids, .. } = purchase;
        Self { purchase, book: Arc::new(Book::new(&request.resources, bids, purchase.units())) }
    }
}

impl Offered<'_> {
    /// An explanation why the service gets only this many replicas.
    pub(super) fn shortage(&self, replicas: u32) -> String {
        let Purchase { request, beside, troubles, inventory, .. } = self.purchase;
        let Request { count, resources, budget_per_hour, location, gpu_type, .. } = request;
        let bought = replicas.saturating_sub(*beside);
        let broke = self.book.most(*count, None) > bought
            && self.book.most(*count, *budget_per_hour) <= bought;
        let needed = count.saturating_add(*beside);
        let mut text = format!("gets {replicas} of the {needed} replicas it needs");
        match budget_per_hour {
            Some(budget) if broke => {
                text.push_str(&format!(", which is what {budget} per hour buys"));
            }
            _ if inventory.is_empty() => {
                text.push_str(&format!(": no provider has room for one with {resources}"));
                text.extend(location.iter().map(|location| format!(" in {location}")));
                text.extend(gpu_type.iter().map(|gpu| format!(" with {gpu}")));
            }
            _ => text.push_str(": the providers offer no more"),
        }
        if let Some(first) =
            troubles.get(..MOST_TROUBLES).or(Some(troubles)).filter(|t| !t.is_empty())
        {
            text.push_str(&format!(" ({}", first.join("; ")));
            match troubles.len() - first.len() {
                0 => text.push(')'),
                more => text.push_str(&format!("; and {more} more)")),
            }
        }
        text
    }
}

impl Purchase {
    pub(super) fn is_in(&self, spread: &Spread) -> bool {
        spread.shares().contains_key(&self.request.service)
    }

    /// Whether a provider bids for some replicas, but for fewer than are requested and fit.
    pub(super) fn is_withheld(&self) -> bool {
        let Request { resources, count, .. } = &self.request;
        let mut offered: BTreeMap<(&str, &str), u32> = BTreeMap::new();
        for bid in self.bids.iter().map(|scored| &scored.bid) {
            let here = offered.entry((&bid.provider, &bid.unit)).or_default();
            *here = here.saturating_add(bid.count);
        }
        self.units().any(|unit| {
            let offered = offered.get(&(unit.provider.as_str(), unit.unit.id.as_str()));
            (1..room(unit, resources).min(*count)).contains(&offered.copied().unwrap_or(0))
        })
    }
}
