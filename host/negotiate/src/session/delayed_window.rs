//! Finds a later time at which all requested capacity is available.

use std::{collections::BTreeSet, sync::Arc};

use haggle_model::{Lease, LeaseId, Owner, Span, Timestamp, Window};

use super::{Session, buying::Purchase, offered::Offered};
use crate::{Bid, Context, Guarantees, InventoryUnit, Request, ScoredBid, room};

/// The maximum number of checks whether the purchases of several services fit together: about as many as a
/// round needs to find the largest fraction. Beyond it, the round itself checks that.
const MOST_PLACED: usize = 30;

/// The maximum number of units that the search examines. Later moments are not found.
const MOST_LOOKED_AT: usize = 1_000_000;

impl Session {
    /// The next moment at which a relevant lease ends and all requested capacity would be free according to
    /// the ledger: the promises of services, and units for the additional replicas.
    pub(super) fn later(&mut self, cx: &Context<'_>) -> Option<Timestamp> {
        let before = self.demand.window;
        let latest = self.terms.wanted.start + self.demand.policy.max_delay;
        let ends: BTreeSet<Timestamp> = cx
            .ledger
            .leases()
            .filter(|lease| self.is_in_the_way(lease))
            .map(|lease| lease.window.end)
            .filter(|end| *end > before.start && *end <= latest)
            .collect();
        let length = self.terms.wanted.length();
        let (mut placed, mut looked_at) = (0, 0);
        let start = ends.into_iter().find(|start| {
            // Queries of the ledger use the window of the demand.
            self.demand.window = Window::new(*start, length);
            self.services_are_free(cx) && self.units_are_free(&mut placed, &mut looked_at, cx)
        });
        self.demand.window = before;
        start
    }

    fn is_in_the_way(&self, lease: &Lease) -> bool {
        match &lease.owner {
            Owner::Service(name) => self.firm.shares().contains_key(name),
            Owner::Unit { .. } => true,
        }
    }

    fn services_are_free(&self, cx: &Context<'_>) -> bool {
        let root = &self.demand.requester;
        self.core.shares().keys().filter(|name| *name != root).all(|name| {
            let owner = Self::owner(name);
            let own: Vec<LeaseId> =
                cx.ledger.leases_between(root, &owner).map(|lease| lease.id.clone()).collect();
            let need = self.share(&self.core, name).scaled(self.terms.whole);
            cx.ledger.free(&owner, self.demand.window, &own).covers(&need)
        })
    }

    /// Whether there is room for the additional replicas, regardless of price: for each service alone, and
    /// then for all of them together.
    fn units_are_free(&self, placed: &mut usize, looked_at: &mut usize, cx: &Context<'_>) -> bool {
        if *looked_at > MOST_LOOKED_AT {
            return false;
        }
        let (core, whole) = (&self.core, self.terms.whole);
        let Some(purchases) = self.purchases(core, whole, cx) else { return false };
        *looked_at += purchases.iter().map(|p| p.units().count()).sum::<usize>();
        let mut purchases: Vec<Arc<Purchase>> = purchases.into_iter().map(Arc::new).collect();
        let fits = |purchase: &Arc<Purchase>| {
            let Purchase { request, leased, beside, .. } = &**purchase;
            let rooms = purchase.units().map(|unit| room(unit, &request.resources));
            let most = rooms.fold(*beside, u32::saturating_add).max(*leased);
            most >= self.least(core, &request.service, whole, cx)
        };
        if !purchases.iter().all(fits) {
            return false;
        }
        if purchases.len() < 2 || *placed >= MOST_PLACED {
            return true;
        }
        *placed += 1;
        for purchase in &mut purchases {
            let purchase = Arc::make_mut(purchase);
            purchase.request.budget_per_hour = None;
            purchase.bids = purchase.units().map(|unit| all_of(unit, &purchase.request)).collect();
        }
        let offered: Vec<Offered<'_>> = purchases.iter().map(|p| Offered::new(p)).collect();
        let placements = self.place(core, &offered, whole, cx);
        purchases.iter().all(|purchase| self.is_enough(core, purchase, &placements, whole, cx))
    }
}

/// A bid for the full room of a unit at no cost.
fn all_of(unit: &InventoryUnit, request: &Request) -> ScoredBid {
    let guarantees =
        Guarantees { availability: 1.0, interruption_rate: 0.0, interruption_notice: Span::ZERO };
    let bid = Bid {
        unit: unit.unit.id.to_string(),
        provider: unit.provider.to_string(),
        location: unit.location.clone(),
        count: room(unit, &request.resources).min(request.count),
        price_per_hour: 0.0,
        performance: unit.unit.performance,
        guarantees,
    };
    ScoredBid { bid, score: 0.0 }
}
