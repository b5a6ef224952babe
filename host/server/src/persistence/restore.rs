//! Taking up where an earlier run has left off.

use std::sync::{Arc, PoisonError};

use haggle_model::{ComputeUnit, Lease, Owner, Provider, Service, Span, Timestamp, Window};
use haggle_negotiate::{Ledger, Overcommitment, service_capacity};
use haggle_observe::Sample;
use haggle_store::{Batch, Calendar, Dependencies, Leases, Policies, Providers, Services, Store};

use crate::{
    documents::catalog::Catalog,
    error::HostError,
    host::Host,
    persistence::{Standings, keep_leases},
    state::ServiceState,
};

impl Host {
    /// Takes up where an earlier run has left off.
    pub(crate) fn restore(&self) -> Result<(), HostError> {
        let Some(store) = self.persistence.store() else { return Ok(()) };
        let now = self.clock.now();
        let mut catalog = Catalog::new();
        for entry in store.scan::<Policies>() {
            let (name, policy) = entry?;
            catalog.policies.insert(name, Arc::new(policy));
        }
        self.reach_back(&catalog);
        for entry in store.scan::<Providers>() {
            let (name, provider) = entry?;
            self.open_accounts(&mut self.ledger(), &provider);
            catalog.providers.insert(name, Arc::new(provider));
        }
        for entry in store.scan::<Services>() {
            let (name, service) = entry?;
            catalog.graph.add_service(&name);
            let standing = store.get::<Standings>(&name)?;
            let state = ServiceState::restored(&service, standing, now);
            self.states().insert(name.clone(), state);
            let service = Arc::new(service);
            self.track(&catalog, &service)?;
            catalog.services.insert(name, service);
        }
        for entry in store.scan::<Dependencies>() {
            let ((from, to), dependency) = entry?;
            catalog.graph.put(&from, &to, dependency)?;
        }
        for entry in store.scan::<Calendar>() {
            let (name, event) = entry?;
            catalog.calendar.insert(name, Arc::new(event));
        }
        self.sweep_models(store)?;
        let leases: Vec<Lease> = store
            .scan::<Leases>()
            .map(|entry| entry.map(|(_, lease)| lease))
            .collect::<Result<_, _>>()?;
        let changed = self.ledger().restore(leases, now);
        let mut batch = Batch::new();
        keep_leases(&mut batch, &changed)?;
        self.persistence.commit(batch)?;
        self.remember_lost(now);
        let keep = self.history().keep();
        self.restore_history(store, Window::new(now.before(keep), keep + Span::from_mins(1)))?;
        *self.catalog.write().unwrap_or_else(PoisonError::into_inner) = catalog.settled();
        Ok(())
    }

    fn restore_history(&self, store: &Store, window: Window) -> Result<(), HostError> {
        let mut history = self.history();
        for key in store.series() {
            let key = key?;
            let subject = Some(key.subject.clone()).filter(|subject| !subject.is_empty());
            let samples: Vec<Sample> = store
                .samples(&key, window)?
                .into_iter()
                .map(|sample| Sample {
                    service: key.service.clone(),
                    metric: key.metric.clone(),
                    subject: subject.clone(),
                    time: Some(sample.at),
                    value: sample.value,
                })
                .collect();
            // They were valid when they came; a limit that was lowered since keeps some of them out.
            if let Err(error) = history.push_all(self.clock.now(), &samples) {
                tracing::warn!(service = %key.service, metric = key.metric, %error, "history is incomplete");
            }
        }
        Ok(())
    }

    /// Keeps as much history as the policies ask for, and an hour more.
    pub(crate) fn reach_back(&self, catalog: &Catalog) {
        self.history().reach(catalog.longest_history() + Span::from_mins(60));
    }

    /// Makes a service known to the ledger and to the actuator.
    pub(crate) fn track(&self, catalog: &Catalog, service: &Arc<Service>) -> Result<(), HostError> {
        let utilization = catalog.policy_of(service).scaling.target_utilization;
        let now = self.clock.now();
        let mut states = self.states();
        let state =
            states.entry(service.name.clone()).or_insert_with(|| ServiceState::new(service, now));
        let replicas = state.replicas.clamp(service.replicas.min, service.replicas.max);
        let owner = Owner::Service(service.name.clone());
        self.ledger().set_capacity(&owner, &service_capacity(service, utilization));
        let mut actuator = self.actuator();
        actuator.track(self.clock.now(), service, replicas)?;
        Ok(())
    }

    /// Makes a provider's units known to the ledger; what it has promised of them beyond what there is, is
    /// returned.
    pub(crate) fn open_accounts(
        &self,
        ledger: &mut Ledger,
        provider: &Provider,
    ) -> Vec<Overcommitment> {
        let open = |unit: &ComputeUnit| {
            let owner = Owner::Unit { provider: provider.name.clone(), unit: unit.id.clone() };
            ledger.set_capacity(&owner, &unit.total())
        };
        provider.units.iter().flat_map(open).collect()
    }

    /// Whoever lost a lease before the host stopped has still to negotiate for another.
    fn remember_lost(&self, now: Timestamp) {
        let ledger = self.ledger();
        for (name, state) in self.states().iter_mut() {
            let Some(agreed) = &state.agreed else { continue };
            // What was agreed for later takes over from what ends then.
            let until = state.next_begin(now).map_or(agreed.until, |at| at.min(agreed.until));
            let is_lost = |lease: &Lease| now < lease.window.end && lease.window.end < until;
            if ledger.leases_of(name).any(is_lost) {
                state.lose();
            }
        }
    }
}
