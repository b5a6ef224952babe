//! Clears the bids, and computes the fraction of the demand that the resulting replicas carry.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use haggle_model::{Name, Owner, Quantities, Span, Window};

use super::{
    CLOSE, Next, Output, Session, State, buying::Purchase, offered::Offered, overlap::smaller,
};
use crate::{
    Clearing, Context, Order, Request, Spread, clear_in_turn, clear_together, leased_replicas,
    ledger::Keeping,
};

/// The placement of the replicas of a service.
#[derive(Debug)]
pub(super) enum Placement {
    /// On its current leases, which are more than it was offered.
    AsBefore(u32),
    /// On the bids that won, in place of the replaced leases in that window and in addition to the staying
    /// replicas.
    Anew { clearing: Clearing, window: Window, beside: u32 },
}

/// The maximum number of bisection steps; this narrows the fraction to one part in a billion.
const BISECTIONS: usize = 30;

impl Placement {
    pub(super) fn replicas(&self) -> u32 {
        match self {
            Self::AsBefore(replicas) => *replicas,
            Self::Anew { clearing, beside, .. } => clearing.count.saturating_add(*beside),
        }
    }
}

impl Session {
    /// Determines the winners. If not everything is available, the mandatory services come first as far as
    /// capacity allows, and then the optional ones that still fit.
    pub(super) fn settle_purchases(
        &mut self,
        purchases: &[Arc<Purchase>],
        cx: &Context<'_>,
        out: &mut Vec<Output>,
    ) -> State {
        let offered: Vec<Offered<'_>> = purchases.iter().map(|p| Offered::new(p)).collect();
        let placements = self.place(&self.firm, &offered, self.fraction, cx);
        let short: Vec<&Offered<'_>> = offered
            .iter()
            .filter(|o| !self.is_enough(&self.firm, o.purchase, &placements, self.fraction, cx))
            .collect();
        if short.is_empty() {
            return self.strike(placements, cx, out);
        }
        for offered in short {
            let name = &offered.purchase.request.service;
            let replicas = placements.get(name).map_or(0, Placement::replicas);
            self.said.insert(name.clone(), offered.shortage(replicas).into());
            self.say_why(name);
            self.withheld |= offered.purchase.is_withheld();
        }
        let fraction = self.largest_fraction(&offered, cx);
        let firm = self.with_what_fits(&|spread| {
            let placements = self.place(spread, &offered, fraction, cx);
            let mut there = purchases.iter().filter(|p| p.is_in(spread));
            there.all(|p| self.is_enough(spread, p, &placements, fraction, cx))
        });
        self.keep(firm);
        match self.decide(fraction, cx) {
            Next::Proceed => {
                let placements = self.place(&self.firm, &offered, self.fraction, cx);
                self.strike(placements, cx, out)
            }
            Next::AnotherRound => self.next_round(cx, out),
            Next::Fail => self.fail(out),
        }
    }

    /// Whether this service has enough replicas for that fraction of the demand. It may have too few for
    /// its own plans if it has enough for the demand.
    pub(super) fn is_enough(
        &self,
        spread: &Spread,
        purchase: &Purchase,
        placements: &BTreeMap<Name, Placement>,
        fraction: f64,
        cx: &Context<'_>,
    ) -> bool {
        let name = &purchase.request.service;
        let replicas = placements.get(name).map_or(0, Placement::replicas);
        replicas >= self.needed(spread, name, fraction, cx)
            || self.carried_with(spread, name, replicas, cx) >= fraction * (1.0 - CLOSE)
    }

    /// The largest fraction for which all mandatory purchases succeed while services share the capacity.
    /// The function bisects, and then rounds up to the load that the purchased replicas carry.
    fn largest_fraction(&self, offered: &[Offered<'_>], cx: &Context<'_>) -> f64 {
        let core = &self.core;
        let must = || offered.iter().map(|o| o.purchase).filter(|p| p.is_in(core));
        let alone = {
            let mut all = offered.iter().filter(|o| o.purchase.is_in(core));
            all.next().filter(|_| all.next().is_none())
        };
        let placed = |fraction: f64| {
            let placements = match alone {
                Some(alone) => self.count_alone(alone, fraction, cx),
                None => self.place(core, offered, fraction, cx),
            };
            let enough = must().all(|p| self.is_enough(core, p, &placements, fraction, cx));
            enough.then_some(placements)
        };
        if placed(self.fraction).is_some() {
            return self.fraction;
        }
        // The placement depends only on the required numbers of replicas.
        let counts = |fraction: f64| -> Vec<(u32, u32)> {
            let names = must().map(|purchase| &purchase.request.service);
            let needed = |name| self.needed(core, name, fraction, cx);
            names.map(|name| (needed(name), self.least(core, name, fraction, cx))).collect()
        };
        let (mut low, mut high) = (0.0, self.fraction);
        for _ in 0..BISECTIONS {
            if counts(low) == counts(high) {
                break;
            }
            let middle = f64::midpoint(low, high);
            if placed(middle).is_some() { low = middle } else { high = middle }
        }
        let Some(placements) = placed(low) else { return 0.0 };
        let carried = must().map(|purchase| {
            let name = &purchase.request.service;
            let replicas = placements.get(name).map_or(0, Placement::replicas);
            self.carried_with(core, name, replicas, cx)
        });
        let exact = carried.fold(self.fraction, f64::min);
        // A slightly smaller value counts too: the replicas carry exactly that.
        let rounding = exact <= low && exact >= low * (1.0 - 2.0 * CLOSE);
        if rounding || (exact > low && placed(exact).is_some()) { exact } else { low }
    }

    /// The number of replicas that a service gets for that fraction if no other service buys. Counting them
    /// is much faster than finding the best ones.
    fn count_alone(
        &self,
        offered: &Offered<'_>,
        fraction: f64,
        cx: &Context<'_>,
    ) -> BTreeMap<Name, Placement> {
        let (core, name) = (&self.core, &offered.purchase.request.service);
        let leased = offered.purchase.leased;
        let counted = |count: u32| {
            let order = Self::order(offered, count);
            let Request { count, budget_per_hour, .. } = order.request;
            let most =
                if count > order.has { offered.book.most(count, budget_per_hour) } else { 0 };
            let beside = offered.purchase.beside;
            let replicas = if most > order.has { most.saturating_add(beside) } else { leased };
            (BTreeMap::from([(name.clone(), Placement::AsBefore(replicas))]), most >= count)
        };
        let (needed, least) =
            (self.needed(core, name, fraction, cx), self.least(core, name, fraction, cx));
        let (first, _) = counted(needed);
        if least >= needed || self.is_enough(core, offered.purchase, &first, fraction, cx) {
            return first;
        }
        match counted(least) {
            (second, true) => second,
            (_, false) => first,
        }
    }

    /// Places the replicas that the services of the spread need for that fraction: jointly, if there is
    /// enough for all. Otherwise the services are cleared one after another, optional ones last, and
    /// capacity that one takes is not available to the next. If that is too little for the fraction, the
    /// services jointly get the replicas needed without their own plans, if there is enough for that.
    pub(super) fn place(
        &self,
        spread: &Spread,
        offered: &[Offered<'_>],
        fraction: f64,
        cx: &Context<'_>,
    ) -> BTreeMap<Name, Placement> {
        let (mut wanted, last): (Vec<_>, Vec<_>) = offered
            .iter()
            .filter(|o| o.purchase.is_in(spread))
            .partition(|o| o.purchase.is_in(&self.core));
        wanted.extend(last);
        let counted = |count: &dyn Fn(&Name) -> u32| -> Vec<Order> {
            let count = |o: &Offered<'_>| count(&o.purchase.request.service);
            let orders = wanted.iter().map(|o| Self::order(o, count(o)));
            let mut orders: Vec<_> =
                orders.filter(|order| order.request.count > order.has).collect();
            self.share_units(&mut orders, cx);
            orders
        };
        let placements = |orders: &[Order], clearings: Vec<Clearing>| {
            let before = |Offered { purchase, .. }: &&Offered<'_>| {
                (purchase.request.service.clone(), Placement::AsBefore(purchase.leased))
            };
            let mut placements: BTreeMap<_, _> = wanted.iter().map(before).collect();
            for (order, clearing) in orders.iter().zip(clearings) {
                if clearing.count > order.has {
                    let Request { service, window, .. } = &order.request;
                    let mut purchases = offered.iter().map(|o| o.purchase);
                    let beside = purchases.find(|p| p.request.service == *service);
                    let beside = beside.map_or(0, |purchase| purchase.beside);
                    let anew = Placement::Anew { clearing, window: *window, beside };
                    placements.insert(service.clone(), anew);
                }
            }
            placements
        };
        let orders = counted(&|name| self.needed(spread, name, fraction, cx));
        // A single order has the same result in both ways.
        let several = orders.len() > 1;
        if let Some(all) = several.then(|| clear_together(&orders)).flatten() {
            return placements(&orders, all);
        }
        let in_turn = placements(&orders, clear_in_turn(&orders));
        let enough = |o: &&Offered<'_>| self.is_enough(spread, o.purchase, &in_turn, fraction, cx);
        if wanted.iter().all(enough) {
            return in_turn;
        }
        let wanted = |orders: &[Order]| -> Vec<(Name, u32)> {
            orders.iter().map(|o| (o.request.service.clone(), o.request.count)).collect()
        };
        let before = wanted(&orders);
        let orders = counted(&|name| self.least(spread, name, fraction, cx));
        if wanted(&orders) == before {
            return in_turn;
        }
        match clear_together(&orders) {
            Some(all) => placements(&orders, all),
            None => in_turn,
        }
    }

    /// The order for a total of `count` replicas.
    fn order(offered: &Offered<'_>, count: u32) -> Order {
        let Offered { purchase, book } = offered;
        let Purchase { request, leased, beside, .. } = purchase;
        let request = Request { count: count.saturating_sub(*beside), ..request.clone() };
        let has = leased.saturating_sub(*beside);
        Order { request, book: Arc::clone(book), held: BTreeMap::new(), has }
    }

    /// Computes the amounts that orders hold on units that several of them may win, and the capacity that
    /// is left for each. A renewed lease usually ends within the window. Such a lease is treated as if it
    /// continued, up to the requested amount: its end frees nothing for other orders, and its renewal takes
    /// nothing more.
    fn share_units(&self, orders: &mut [Order], cx: &Context<'_>) {
        if orders.len() < 2 {
            return;
        }
        // If no order holds anything, nothing is renewed.
        let mut held: BTreeSet<(Name, Name)> = BTreeSet::new();
        for order in orders.iter() {
            let leases = self.replaced_replicas(&order.request.service, cx);
            held.extend(leases.leases().filter_map(|lease| match &lease.owner {
                Owner::Unit { provider, unit } => Some((provider.clone(), unit.clone())),
                Owner::Service(_) => None,
            }));
        }
        for (provider, unit) in held {
            let places: Vec<(usize, usize)> = orders
                .iter()
                .enumerate()
                .filter_map(|(order, of)| Some((order, of.book.place(&provider, &unit)?)))
                .collect();
            if places.len() < 2 {
                continue;
            }
            let owner = Owner::Unit { provider: provider.clone(), unit: unit.clone() };
            let requests = places.iter().filter_map(|(order, _)| orders.get(*order));
            let kept: Vec<Keeping> =
                requests.map(|order| self.keeping(&order.request, &owner, cx)).collect();
            if kept.iter().all(|keeping| keeping.amounts.is_zero()) {
                continue;
            }
            let free = cx.ledger.free_beside(&owner, &kept);
            for (((order, place), keeping), free) in places.into_iter().zip(kept).zip(free) {
                let Some(order) = orders.get_mut(order) else { continue };
                order.held.insert((provider.clone(), unit.clone()), keeping.amounts);
                Arc::make_mut(&mut order.book).set_free(place, free);
            }
        }
    }

    /// The replaceable amount that the buyer holds on a unit, up to the amount it wants.
    fn keeping(&self, request: &Request, owner: &Owner, cx: &Context<'_>) -> Keeping {
        let Request { service, resources, count, window, .. } = request;
        let replaced = self.replaced_replicas(service, cx).on(owner);
        let wanted = resources.scaled(f64::from(*count));
        let amounts = smaller(&replaced.most_amounts(*window), &wanted);
        let (replaces, preempts) = (replaced.ids(), self.lower(owner, cx));
        Keeping { amounts, window: *window, replaces, preempts }
    }

    /// The number of replicas that a service needs for its own plans and all its promises, including that
    /// fraction of the current demand. The requester needs at least the replicas it has, as far as the
    /// whole demand would need them: a request for more must not end with fewer.
    pub(super) fn needed(
        &self,
        spread: &Spread,
        name: &Name,
        fraction: f64,
        cx: &Context<'_>,
    ) -> u32 {
        let Some(snapshot) = self.snapshots.get(name) else { return 0 };
        let promised = self.promised(spread, name, fraction, cx);
        // The plan of the requester is this demand itself.
        let own = *name == self.demand.requester;
        let total = if own { promised } else { promised.max(&snapshot.planned) };
        let needed = snapshot.service.replicas_for(&total, snapshot.target_utilization);
        if !own || fraction >= 1.0 {
            return needed;
        }
        needed.max(self.keeps(spread, name, cx))
    }

    /// The number of replicas leased at the beginning of the window that the service keeps.
    pub(super) fn keeps(&self, spread: &Spread, name: &Name, cx: &Context<'_>) -> u32 {
        let Some(snapshot) = self.snapshots.get(name) else { return 0 };
        let begin = Window::new(self.demand.window.start, Span::from_millis(1));
        let has = leased_replicas(cx.ledger, &snapshot.service, begin);
        match *name == self.demand.requester {
            true => has.min(self.needed(spread, name, 1.0, cx)),
            false => has,
        }
    }

    /// The number of replicas that a service needs for all its promises, without its own plans.
    pub(super) fn least(
        &self,
        spread: &Spread,
        name: &Name,
        fraction: f64,
        cx: &Context<'_>,
    ) -> u32 {
        let Some(snapshot) = self.snapshots.get(name) else { return 0 };
        let promised = self.promised(spread, name, fraction, cx);
        snapshot.service.replicas_for(&promised, snapshot.target_utilization)
    }

    fn promised(
        &self,
        spread: &Spread,
        name: &Name,
        fraction: f64,
        cx: &Context<'_>,
    ) -> Quantities {
        self.share(spread, name).scaled(fraction).plus(&self.promised_to_others(name, cx))
    }

    fn promised_to_others(&self, name: &Name, cx: &Context<'_>) -> Quantities {
        let mut without = self.promises(name, cx);
        without.extend(self.lower(&Self::owner(name), cx));
        cx.ledger.committed(&Self::owner(name), self.demand.window, &without)
    }

    /// The fraction of the demand that a service carries with this many replicas.
    fn carried_with(&self, spread: &Spread, name: &Name, replicas: u32, cx: &Context<'_>) -> f64 {
        let Some(snapshot) = self.snapshots.get(name) else { return 0.0 };
        let carried = snapshot.service.carries(replicas).scaled(snapshot.target_utilization);
        let share = self.share(spread, name);
        carried.minus(&self.promised_to_others(name, cx)).share_of(&share)
    }
}
