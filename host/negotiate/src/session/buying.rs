//! Buys the replicas that must be added from the providers.

use std::{collections::BTreeMap, sync::Arc};

use haggle_model::{Name, Owner, Quantities, Resource, Window};
use imbl::OrdMap;

use super::{Output, Session, State};
use crate::{
    Bid, Context, Inventory, InventoryUnit, MessageId, Party, Request, ScoredBid, Snapshot, Spread,
    admit, leased_replicas, market::most_bids, room,
};

/// The session waits for bids or scores.
#[derive(Clone, Debug)]
pub(super) struct Buying {
    purchases: Vec<Arc<Purchase>>,
    /// By message: the index of the purchase, and the party that is to answer.
    due: OrdMap<MessageId, (usize, Name)>,
    ranking: bool,
}

/// The purchase of one service.
#[derive(Clone, Debug)]
pub(super) struct Purchase {
    pub(super) request: Request,
    /// The inventory by provider, without empty ones.
    pub(super) inventory: Arc<BTreeMap<Name, Inventory>>,
    /// The admitted bids; the scores arrive with the ranking.
    pub(super) bids: Vec<ScoredBid>,
    /// The number of replicas that the current leases place throughout the window.
    pub(super) leased: u32,
    /// The number of those replicas that stay. The others are part of the purchase.
    pub(super) beside: u32,
    /// Problems with providers.
    pub(super) troubles: Vec<String>,
}

/// The current leases of a buyer for a window.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stake {
    /// As [`Purchase::leased`].
    leased: u32,
    /// As [`Purchase::beside`].
    beside: u32,
    /// The budget that is left after the price of the staying replicas.
    budget_per_hour: Option<f64>,
}

/// The maximum number of units that one round examines for all buying services.
const MOST_UNITS: usize = 400_000;

impl Purchase {
    /// All units in the inventory.
    pub(super) fn units(&self) -> impl Iterator<Item = &InventoryUnit> {
        self.inventory.values().flat_map(|units| units.iter())
    }
}

impl Buying {
    pub(super) fn bids_due(&self, message: MessageId) -> bool {
        !self.ranking && self.due.contains_key(&message)
    }

    pub(super) fn scores_due(&self, message: MessageId) -> bool {
        self.ranking && self.due.contains_key(&message)
    }
}

impl Session {
    /// Calls for bids for every service that needs more replicas than it has leased.
    pub(super) fn call_for_bids(&mut self, cx: &Context<'_>, out: &mut Vec<Output>) -> State {
        let Some(wanted) = self.purchases(&self.firm, self.fraction, cx) else {
            let services = self.firm.shares().len();
            let root = self.demand.requester.clone();
            let text = format!(
                "the {services} services that take part would look at more than {MOST_UNITS} units together, which is the most of one negotiation: describe units that are alike as one with a `count`"
            );
            self.reason(&root, text);
            return self.fail(out);
        };
        let mut buying = Buying { purchases: Vec::new(), due: OrdMap::new(), ranking: false };
        for purchase in wanted {
            for (provider, inventory) in purchase.inventory.iter() {
                let message = self.next_message();
                buying.due.insert(message, (buying.purchases.len(), provider.clone()));
                let (provider, inventory) = (provider.clone(), inventory.clone());
                let request = purchase.request.clone();
                out.push(Output::CallForBids { message, provider, request, inventory });
            }
            buying.purchases.push(Arc::new(purchase));
        }
        self.go_on_buying(buying, cx, out)
    }

    /// Whether the replicas of a service use resources that providers sell.
    pub(super) fn is_metered(snapshot: &Snapshot, cx: &Context<'_>) -> bool {
        !snapshot.service.replica.requests.is_zero() && !cx.world.providers().is_empty()
    }

    /// The purchases of all services for their parts of that fraction; `None` if they would examine too
    /// many units.
    pub(super) fn purchases(
        &self,
        spread: &Spread,
        fraction: f64,
        cx: &Context<'_>,
    ) -> Option<Vec<Purchase>> {
        let (mut all, mut units) = (Vec::new(), 0);
        for name in spread.shares().keys() {
            let Some(purchase) = self.purchase(spread, name, fraction, cx) else { continue };
            units += purchase.units().count();
            if units > MOST_UNITS {
                return None;
            }
            all.push(purchase);
        }
        Some(all)
    }

    /// The purchase of a service for its part of that fraction; `None` if it has enough replicas.
    pub(super) fn purchase(
        &self,
        spread: &Spread,
        name: &Name,
        fraction: f64,
        cx: &Context<'_>,
    ) -> Option<Purchase> {
        let snapshot = self.snapshots.get(name).filter(|s| Self::is_metered(s, cx))?;
        let needed = self.needed(spread, name, fraction, cx);
        if needed <= leased_replicas(cx.ledger, &snapshot.service, self.demand.window) {
            return None;
        }
        let staying = self.staying_replicas(name, cx);
        let window = staying.missing(self.demand.window, |here| here.replicas() >= needed);
        let Stake { leased, beside, budget_per_hour } = self.stake(snapshot, window, cx);
        let request = Request {
            id: format!("{}-{}-{name}", self.demand.session, self.round),
            service: name.clone(),
            tier: snapshot.tier,
            resources: snapshot.service.replica.requests.clone(),
            count: needed.saturating_sub(beside),
            window,
            budget_per_hour,
            location: snapshot.service.location.clone().filter(|_| !self.terms.anywhere),
            gpu_type: snapshot.service.gpu_type.clone(),
        };
        let inventory = Arc::new(self.inventory(&request, cx));
        let (bids, troubles) = (Vec::new(), Vec::new());
        Some(Purchase { request, inventory, bids, leased, beside, troubles })
    }

    /// Updates a purchase to the current leases of its buyer. Another negotiation may have leased more
    /// since the call for bids. The session does not replace that with fewer replicas, and it deducts its
    /// price from the budget.
    fn refresh(&self, purchase: &mut Arc<Purchase>, cx: &Context<'_>) {
        let Purchase { request, leased, beside, .. } = &**purchase;
        let Some(snapshot) = self.snapshots.get(&request.service) else { return };
        let now = self.stake(snapshot, request.window, cx);
        let budget_per_hour = request.budget_per_hour;
        if now != (Stake { leased: *leased, beside: *beside, budget_per_hour }) {
            let purchase = Arc::make_mut(purchase);
            let needed = purchase.request.count.saturating_add(purchase.beside);
            purchase.request.count = needed.saturating_sub(now.beside);
            purchase.request.budget_per_hour = now.budget_per_hour;
            (purchase.leased, purchase.beside) = (now.leased, now.beside);
        }
    }

    fn stake(&self, snapshot: &Snapshot, window: Window, cx: &Context<'_>) -> Stake {
        let staying = self.staying_replicas(&snapshot.service.name, cx);
        let left = |budget: f64| (budget - staying.highest_price(window)).max(0.0);
        Stake {
            leased: leased_replicas(cx.ledger, &snapshot.service, window),
            beside: staying.least_replicas(window),
            budget_per_hour: snapshot.budget_per_hour.map(left),
        }
    }

    /// The units with room for at least one replica, as the buyer sees them: its own leases count as free
    /// where they would be replaced.
    fn inventory(&self, request: &Request, cx: &Context<'_>) -> BTreeMap<Name, Inventory> {
        let mut inventory: BTreeMap<Name, Inventory> = BTreeMap::new();
        let replaced = self.replaced_replicas(&request.service, cx);
        for provider in cx.world.providers() {
            if request.location.as_ref().is_some_and(|wanted| *wanted != provider.location) {
                continue;
            }
            let mut units = Vec::new();
            for unit in &provider.units {
                if request.gpu_type.is_some() && request.gpu_type != unit.gpu_type {
                    continue;
                }
                let owner = Owner::Unit { provider: provider.name.clone(), unit: unit.id.clone() };
                let mut own = replaced.on(&owner).ids();
                own.extend(self.lower(&owner, cx));
                let free = cx.ledger.free(&owner, request.window, &own);
                let unit = InventoryUnit {
                    provider: provider.name.clone(),
                    location: provider.location.clone(),
                    available: partly_free(&free, &unit.resources).min(unit.count),
                    unit: unit.clone(),
                    free,
                };
                if room(&unit, &request.resources) > 0 {
                    units.push(unit);
                }
            }
            if !units.is_empty() {
                inventory.insert(provider.name.clone(), units.into());
            }
        }
        // The session asks an unreliable provider again only if no other provider has anything.
        let kept = |provider: &Name| !self.unreliable.contains(provider);
        if inventory.keys().any(kept) {
            inventory.retain(|provider, _| kept(provider));
        }
        inventory
    }

    pub(super) fn bid(
        &mut self,
        mut buying: Buying,
        message: MessageId,
        bids: Result<Vec<Bid>, String>,
        cx: &Context<'_>,
        out: &mut Vec<Output>,
    ) -> State {
        let Some((place, provider)) = buying.due.remove(&message) else {
            return State::Buying(buying);
        };
        let party = || Party::Provider(provider.clone());
        if let Some(purchase) = buying.purchases.get_mut(place).map(Arc::make_mut) {
            match bids {
                Ok(mut bids) => {
                    let stock = purchase.inventory.get(&provider).map_or(&[][..], |all| all);
                    let most = most_bids(stock.len());
                    if bids.len() > most {
                        let text = format!("{} bids; only {most} are looked at", bids.len());
                        self.fault(message, party(), text, out);
                        bids.truncate(most);
                    }
                    let (admitted, refused) = admit(&purchase.request, bids, stock);
                    let unscored = |bid| ScoredBid { bid, score: 0.0 };
                    purchase.bids.extend(admitted.into_iter().map(unscored));
                    for refused in refused {
                        let text = format!("a bid is refused: {}", refused.reason);
                        self.fault(message, party(), text.clone(), out);
                        purchase.troubles.push(format!("{provider}: {text}"));
                    }
                }
                Err(why) => {
                    self.fault(message, party(), format!("no bids: {why}"), out);
                    purchase.troubles.push(format!("{provider} does not bid: {why}"));
                }
            }
        }
        self.go_on_buying(buying, cx, out)
    }

    pub(super) fn scored(
        &mut self,
        mut buying: Buying,
        message: MessageId,
        scores: Result<Vec<f64>, String>,
        cx: &Context<'_>,
        out: &mut Vec<Output>,
    ) -> State {
        let Some((place, buyer)) = buying.due.remove(&message) else {
            return State::Buying(buying);
        };
        if let Some(purchase) = buying.purchases.get_mut(place).map(Arc::make_mut) {
            let valid = scores.and_then(|scores| {
                if scores.len() != purchase.bids.len() {
                    Err(format!("{} scores for {} bids", scores.len(), purchase.bids.len()))
                } else if !scores.iter().all(|score| score.is_finite()) {
                    Err("a score that is not finite".to_owned())
                } else {
                    Ok(scores)
                }
            });
            let scores = valid.unwrap_or_else(|why| {
                self.fault(
                    message,
                    Party::Service(buyer),
                    format!("{why}; the cheapest bids win"),
                    out,
                );
                purchase.bids.iter().map(|scored| -scored.bid.price_per_hour).collect()
            });
            for (scored, score) in purchase.bids.iter_mut().zip(scores) {
                scored.score = score;
            }
        }
        self.go_on_buying(buying, cx, out)
    }

    /// Waits for pending answers, then has the bids ranked, and then settles the purchases.
    fn go_on_buying(
        &mut self,
        mut buying: Buying,
        cx: &Context<'_>,
        out: &mut Vec<Output>,
    ) -> State {
        if buying.due.is_empty() && !buying.ranking {
            buying.ranking = true;
            for (place, purchase) in buying.purchases.iter().enumerate() {
                if !purchase.bids.is_empty() {
                    let message = self.next_message();
                    let Purchase { request, bids, .. } = &**purchase;
                    buying.due.insert(message, (place, request.service.clone()));
                    let request = request.clone();
                    let bids = bids.iter().map(|scored| scored.bid.clone()).collect();
                    out.push(Output::Rank { message, request, bids });
                }
            }
        }
        if buying.due.is_empty() {
            buying.purchases.iter_mut().for_each(|purchase| self.refresh(purchase, cx));
            return self.settle_purchases(&buying.purchases, cx, out);
        }
        State::Buying(buying)
    }
}

/// The number of units with free capacity, if the used capacity is packed tightly.
fn partly_free(free: &Quantities, has: &Quantities) -> u32 {
    let units = Resource::ALL
        .iter()
        .filter(|resource| has.get(**resource) > 0.0)
        .map(|resource| (free.get(*resource) / has.get(*resource) - 1e-9).ceil())
        .fold(f64::INFINITY, f64::min);
    if units.is_finite() { units.max(0.0) as u32 } else { 0 }
}
