//! The leases that place replicas, and the removal of replicas without a lease.

use haggle_model::{Bound, Lease, LeaseState, Name, Owner, ScalingReason, Service};

use crate::{order::Order, service::Scheduled, step::Step};

/// The reason for removing replicas whose lease was lost.
pub(crate) const LOST: &str = "no others were found";

impl Step<'_> {
    /// The number of replicas of the service that have a lease now, of any size. `None` if the service
    /// needs no resources or there are no providers.
    pub(crate) fn leased(&self, service: &Service) -> Option<u32> {
        if service.replica.requests.is_zero() || self.state.catalog.providers.is_empty() {
            return None;
        }
        Some(self.placed(service).map(|lease| lease.replicas).fold(0, u32::saturating_add))
    }

    /// The leases that currently place replicas of the service.
    pub(crate) fn placed(&self, service: &Service) -> impl Iterator<Item = &Lease> {
        let now = self.now;
        self.state.ledger.leases_of(&service.name).filter(move |lease| {
            let counts = lease.state == LeaseState::Confirmed && lease.window.contains(now);
            counts && matches!(lease.owner, Owner::Unit { .. })
        })
    }

    /// Removes the replicas without a lease, down to the minimum of the service. Their place may already
    /// belong to another service. While a negotiation is open, they stay.
    pub(crate) fn vacate(&mut self, name: &Name, why: &str) {
        let Some((service, _)) = self.described(name) else { return };
        let Some(leased) = self.leased(&service) else { return };
        self.vacate_to(&service, leased, why);
    }

    pub(crate) fn vacate_to(&mut self, service: &Service, leased: u32, why: &str) {
        let name = &service.name;
        let Some(state) = self.state.services.get(name) else { return };
        let (from, to) = (state.replicas, leased.max(service.replicas.min));
        if to >= from || self.state.is_negotiating(name) {
            return;
        }
        let load = state.planned.clone();
        self.order(
            name,
            Order {
                to,
                wanted: from,
                reason: ScalingReason::LeaseEnded,
                lasting: false,
                load,
                bound: Some(Bound::Negotiation),
                negotiation: None,
                explanation: format!("{leased} replica(s) have a lease, and {why}"),
            },
        );
    }

    /// Marks the holders of lost leases; they must negotiate for others. A lost reservation is negotiated
    /// separately. Other changes that were scheduled from the same agreement are dropped.
    pub(crate) fn note_lost(&mut self, leases: &[Lease]) {
        let now = self.now;
        for lease in leases {
            let Some(state) = self.state.service_mut(&lease.holder) else { continue };
            let same = |later: &Scheduled| later.session == lease.negotiation && later.at > now;
            let reserved = |later: &Scheduled| same(later) && later.claim.is_some();
            if !state.scheduled.iter().any(reserved) {
                if lease.window.start > now {
                    state.scheduled.retain(|later| !same(later));
                }
                state.lose();
            }
            self.keep(&lease.holder);
            self.losers.insert(lease.holder.clone());
        }
    }

    /// Negotiates at once for the services that lost a lease in this step. The notice may be shorter than
    /// the time to the next pass.
    pub(crate) fn serve_losers(&mut self) {
        while let Some(name) = self.losers.pop_first() {
            if self.state.services.get(&name).is_some_and(|state| state.lost) {
                self.reconcile_service(&name);
            }
            if self.losers.is_empty() {
                self.reserve_again(None);
            }
        }
    }
}
