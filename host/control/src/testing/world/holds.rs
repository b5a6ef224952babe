//! Queries of the world, and the invariants that always hold.

use std::collections::BTreeSet;

use haggle_model::{Decision, Lease, LeaseState, Owner, Quantities, Timestamp};

use super::World;
use crate::{Control, Progress, ServiceState, State, testing::name};

impl World {
    pub(crate) fn state(&self) -> &State {
        self.control.newest()
    }

    pub(crate) fn service_state(&self, service: &str) -> &ServiceState {
        self.state().service(&name(service)).unwrap().1
    }

    /// The number of running replicas according to the driver.
    pub(crate) fn replicas(&self, service: &str) -> u32 {
        self.driver[&name(service)]
    }

    pub(crate) fn leases(&self, holder: &str) -> Vec<Lease> {
        let of = |lease: &&Lease| lease.holder.as_str() == holder && lease.is_active(self.now);
        self.state().ledger().leases().filter(of).cloned().collect()
    }

    /// The unit, replicas, and seconds until the end of each lease.
    pub(crate) fn places(&self, holder: &str) -> Vec<(String, u32, u64)> {
        let place = |lease: Lease| {
            let Owner::Unit { provider, unit } = lease.owner else { return None };
            let left = lease.window.end.since(self.now).as_millis() / 1000;
            Some((format!("{provider}/{unit}"), lease.replicas, left))
        };
        let mut places: Vec<_> = self.leases(holder).into_iter().filter_map(place).collect();
        places.sort();
        places
    }

    /// The number of replicas with a lease at that time.
    pub(crate) fn leased_at(&self, holder: &str, at: Timestamp) -> u32 {
        let here =
            |lease: &Lease| lease.window.contains(at) && lease.state == LeaseState::Confirmed;
        self.leases(holder).iter().filter(|lease| here(lease)).map(|lease| lease.replicas).sum()
    }

    pub(crate) fn decisions(&self, service: &str) -> Vec<&Decision> {
        self.disk.decisions.iter().filter(|d| d.service.as_str() == service).collect()
    }

    pub(crate) fn progress(&self, id: &str) -> Option<Progress> {
        self.state().request(id)
    }

    /// Checks the invariants after a step.
    pub(crate) fn check(&self) {
        for state in [self.control.newest(), &self.control.snapshot()] {
            self.check_capacity(state);
        }
        if self.thorough && self.control.is_settled() {
            self.check_restart();
        }
    }

    /// Checks with an independent sum that the leases are within capacity at every moment.
    fn check_capacity(&self, state: &State) {
        let leases: Vec<&Lease> = state.ledger().leases().collect();
        let owners: BTreeSet<&Owner> = leases.iter().map(|lease| &lease.owner).collect();
        for owner in owners {
            let here: Vec<&&Lease> = leases.iter().filter(|lease| lease.owner == *owner).collect();
            let edges = here.iter().flat_map(|lease| [lease.window.start, lease.window.end]);
            let moments: BTreeSet<Timestamp> = edges.chain([self.now]).collect();
            for at in moments {
                if at < self.now || self.lowered.get(owner).is_some_and(|until| at < *until) {
                    continue;
                }
                let Some(capacity) = self.capacity(state, owner, at) else { continue };
                let sum = here
                    .iter()
                    .fold(Quantities::new(), |sum, lease| sum.plus(&counted(state, lease, at)));
                let fits =
                    capacity.iter().all(|(r, most)| sum.get(r) <= most * (1.0 + 1e-9) + 1e-6);
                assert!(fits, "{owner} at {at}: {sum} of {capacity}");
            }
        }
    }

    /// The capacity of an owner at a time, according to the descriptions and announcements.
    fn capacity(&self, state: &State, owner: &Owner, at: Timestamp) -> Option<Quantities> {
        let catalog = state.catalog();
        match owner {
            Owner::Service(service) => {
                let service = catalog.service(service).ok()?;
                let utilization = catalog.policy_of(service).scaling.target_utilization;
                Some(service.carries(service.replicas.max).scaled(utilization))
            }
            Owner::Unit { provider, unit } => {
                let described = catalog.provider(provider).ok()?.unit(unit.as_str())?;
                let notices = state.reclaims(provider).filter(|(of, _)| *of == unit);
                let gone = notices.flat_map(|(_, all)| all).filter(|reclaim| reclaim.at <= at);
                let gone: u32 = gone.map(|reclaim| reclaim.count).sum();
                Some(described.resources.scaled(f64::from(described.count - gone)))
            }
        }
    }

    /// Checks that a restart now would lose nothing.
    fn check_restart(&self) {
        let (restored, _) = Control::restore(self.options.clone(), self.disk.read(), self.now);
        let snapshot = self.control.snapshot();
        if let Err(why) = snapshot.same_durable(restored.newest()) {
            panic!("a restart would change something: {why}");
        }
    }

    /// Checks that no service has more replicas than are leased, except for its minimum. The next pass
    /// handles leases that end between two passes.
    pub(super) fn check_replicas(&self) {
        let state = self.state();
        if state.catalog().providers().next().is_none() {
            return;
        }
        for (service, known) in state.services() {
            let name = &service.name;
            if service.replica.requests.is_zero() || state.is_negotiating(name) {
                continue;
            }
            let leased = self.leased_at(name.as_str(), self.now);
            let most = leased.max(service.replicas.min);
            assert!(known.replicas <= most, "{name}: {} replicas, {leased} leased", known.replicas);
        }
    }
}

/// The amount that counts for a lease at a time. A hold counts for its excess over the leases it will
/// replace.
fn counted(state: &State, lease: &Lease, at: Timestamp) -> Quantities {
    if !lease.window.contains(at) {
        return Quantities::new();
    }
    if lease.state == LeaseState::Confirmed {
        return lease.amounts.clone();
    }
    let ledger = state.ledger();
    let old = ledger.replacing(&lease.id).iter().filter_map(|id| ledger.lease(id));
    let old = old.filter(|old| old.window.contains(at) && old.state == LeaseState::Confirmed);
    lease.amounts.minus(&old.fold(Quantities::new(), |sum, old| sum.plus(&old.amounts)))
}
