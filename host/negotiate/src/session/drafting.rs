//! Assembles the leases of a deal: the new holds, the leases that continue, and the leases that end.

use std::collections::BTreeMap;

use haggle_model::{Lease, LeaseId, LeaseState, Name, Owner, Quantities, Timestamp, Window};

use super::{Session, overlap::Profile};
use crate::{
    Clearing, Context, Hold, steps,
    world::{placements, places},
};

/// The leases of a deal under assembly.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) holds: Vec<Hold>,
    /// The leases that end without a replacement, and when.
    pub(super) end: BTreeMap<LeaseId, Timestamp>,
    /// The leases that continue, and until when.
    pub(super) kept: Vec<(LeaseId, Timestamp)>,
    /// The price of the replicas per hour: the sum over the services, each at its most expensive moment.
    pub(super) price: f64,
}

impl Draft {
    fn keep(&mut self, leases: &Profile<'_>) {
        self.kept.extend(leases.leases().map(|lease| (lease.id.clone(), lease.window.end)));
    }

    fn end(&mut self, leases: &Profile<'_>, at: Timestamp) {
        self.end.extend(leases.leases().map(|lease| (lease.id.clone(), at)));
    }
}

impl Session {
    /// Drafts the promise of a service to carry its load for the requester.
    pub(super) fn draft_promise(
        &self,
        draft: &mut Draft,
        name: &Name,
        load: &Quantities,
        cx: &Context<'_>,
    ) {
        let owner = Self::owner(name);
        let mut window = self.demand.window;
        let begin = window.start;
        let agreed = cx.ledger.agreed(&self.demand.requester, &owner, window);
        let (staying, mut replaced) = self.promised_before(&owner, cx);
        if load.is_zero() {
            return draft.end(&staying.with(&replaced), begin);
        }
        if steps::same(&agreed, load) {
            return draft.keep(&staying.with(&replaced));
        }
        let mut amounts = load.clone();
        // If the requester requests less than the staying leases provide, it also releases the excess.
        if load.covers(&staying.least_amounts(window)) {
            window = staying.missing(window, |here| here.amounts().covers(load));
            amounts = load.minus(&staying.least_amounts(window));
            draft.keep(&staying);
            if window.length().is_zero() {
                return draft.end(&replaced, begin);
            }
        } else {
            replaced = staying.with(&replaced);
        }
        let lease = self.lease(draft, &self.demand.requester, owner, amounts, 0, 0.0);
        let lease = Lease { window, ..lease };
        let replaces = replaced.ids();
        let preempts = self.victims(draft, &lease, &replaces, cx);
        draft.holds.push(Hold { lease, replaces, preempts });
    }

    /// Drafts the replicas of a service on the units that won, in place of its current ones within the
    /// window. If the service `keeps` more replicas than it has won, its current leases run until they
    /// place fewer than that. Only then do the new leases replace them. Both at the same time would exceed
    /// the need and could exceed the budget.
    pub(super) fn draft_placement(
        &self,
        draft: &mut Draft,
        name: &Name,
        clearing: &Clearing,
        (window, keeps): (Window, bool),
        cx: &Context<'_>,
    ) {
        let Some(snapshot) = self.snapshots.get(name) else { return };
        let (staying, old) = (self.staying_replicas(name, cx), self.replaced_replicas(name, cx));
        let start = if keeps {
            let counts = |lease: &&Lease| places(cx.ledger, &snapshot.service, lease);
            let counted: Profile<'_> = old.leases().filter(counts).collect();
            counted.falls_below(clearing.count, window)
        } else {
            window.start
        };
        let (before, after) = (Window { end: start, ..window }, Window { start, ..window });
        draft.keep(&staying);
        let kept = staying.with(&old).highest_price(before);
        let added = if start < window.end { clearing.price_per_hour } else { 0.0 };
        draft.price += kept.max(staying.highest_price(after) + added);
        if start >= window.end {
            return draft.keep(&old);
        }
        if start > window.start {
            // These leases back the agreement until the new ones take over.
            let goes_on = old.leases().filter(|lease| lease.window.start < start);
            let until = |lease: &Lease| (lease.id.clone(), lease.window.end.min(start));
            draft.kept.extend(goes_on.map(until));
        }
        let mut ending: BTreeMap<&Owner, Vec<LeaseId>> = BTreeMap::new();
        for lease in old.leases().filter(|lease| lease.window.end > start) {
            ending.entry(&lease.owner).or_default().push(lease.id.clone());
        }
        let mut won: BTreeMap<Owner, (u32, f64)> = BTreeMap::new();
        for allocation in &clearing.allocations {
            let (provider, unit) = (allocation.provider.clone(), allocation.unit.clone());
            let (count, price) = won.entry(Owner::Unit { provider, unit }).or_default();
            *count += allocation.count;
            *price += f64::from(allocation.count) * allocation.price_per_hour;
        }
        for (owner, (count, price)) in won {
            let replaces = ending.remove(&owner).unwrap_or_default();
            let amounts = snapshot.service.replica.requests.scaled(f64::from(count));
            let lease = self.lease(draft, name, owner, amounts, count, price);
            let lease = Lease { window: after, ..lease };
            let preempts = self.victims(draft, &lease, &replaces, cx);
            draft.holds.push(Hold { lease, replaces, preempts });
        }
        draft.end.extend(ending.into_values().flatten().map(|id| (id, start)));
    }

    /// Keeps the leases of the requester, or releases the most expensive ones that it no longer needs.
    pub(super) fn draft_fewer(&self, draft: &mut Draft, needed: u32, cx: &Context<'_>) {
        let root = &self.demand.requester;
        let Some(snapshot) = self.snapshots.get(root) else { return };
        let window = self.demand.window;
        let mut leases: Vec<&Lease> = placements(cx.ledger, &snapshot.service, window).collect();
        let all: Profile<'_> = leases.iter().copied().collect();
        let cover =
            |lease: &&Lease| lease.window.start <= window.start && lease.window.end >= window.end;
        if !leases.iter().all(cover) {
            // If leases succeed each other, shortening any of them would leave a gap.
            draft.price += all.highest_price(window);
            return draft.keep(&all);
        }
        let mut surplus = all.replicas().saturating_sub(needed);
        let each = |lease: &Lease| lease.price_per_hour / f64::from(lease.replicas.max(1));
        leases.sort_by(|a, b| each(b).total_cmp(&each(a)).then_with(|| a.id.cmp(&b.id)));
        for lease in leases {
            let less = surplus.min(lease.replicas);
            surplus -= less;
            let left = lease.replicas - less;
            let price = each(lease) * f64::from(left);
            draft.price += price;
            if less == 0 {
                draft.kept.push((lease.id.clone(), lease.window.end));
            } else if left == 0 {
                draft.end.insert(lease.id.clone(), window.start);
            } else {
                let amounts = snapshot.service.replica.requests.scaled(f64::from(left));
                let new = self.lease(draft, root, lease.owner.clone(), amounts, left, price);
                let replaces = vec![lease.id.clone()];
                draft.holds.push(Hold { replaces, ..Hold::new(new) });
            }
        }
    }

    /// Ends the promises of services that the requester no longer depends on.
    pub(super) fn draft_departures(&self, draft: &mut Draft, cx: &Context<'_>) {
        let window = self.demand.window;
        let gone = cx.ledger.leases_of(&self.demand.requester).filter(|lease| {
            let reached = match &lease.owner {
                Owner::Service(name) => self.whole.shares().contains_key(name),
                Owner::Unit { .. } => true,
            };
            !reached && lease.state == LeaseState::Confirmed && lease.window.overlaps(&window)
        });
        draft.end(&gone.collect(), window.start);
    }

    fn lease(
        &self,
        draft: &Draft,
        holder: &Name,
        owner: Owner,
        amounts: Quantities,
        replicas: u32,
        price_per_hour: f64,
    ) -> Lease {
        let Self { demand, round, .. } = self;
        Lease {
            id: LeaseId(format!("{}-{round}-{}", demand.session, draft.holds.len() + 1)),
            negotiation: demand.session.clone(),
            holder: holder.clone(),
            owner,
            amounts,
            replicas,
            price_per_hour,
            window: demand.window,
            state: LeaseState::Held,
            held_until: self.deadline,
        }
    }
}
