use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use haggle_actuate::{Actuator, DryRun, ReplicaStatus};
use haggle_model::{
    Decision, Dependency, Lease, Name, Owner, Provider, Quantities, ScalingPolicy, Service, Span,
    Timestamp, Window,
};
use haggle_negotiate::{Ledger, service_capacity};
use haggle_observe::{History, HistoryLimits, Sample, SeriesKey};
use haggle_sandbox::{Grant, Sandbox};
use haggle_store::{
    Batch, Decisions, Dependencies, Leases, Negotiations, Outcome, Outcomes, Policies, Providers,
    Services, StoreOptions,
};
use serde_json::Value;
use tokio::sync::broadcast;

use crate::{
    catalog::{Catalog, accounts, not_found},
    clock::{Clock, SystemClock},
    decider::Decider,
    error::HostError,
    events::{Event, EventKind, Events},
    failures::Failures,
    metrics::Metrics,
    persistence::{Persistence, Standings},
    plugins::Uploads,
    state::ServiceState,
    views::{
        Accepted, FailureReport, ForecastView, GraphView, Put, SampleBatch, ServiceStatus,
        ServiceView,
    },
};

/// How a host is set up.
pub struct HostOptions {
    /// Where everything is kept that must outlive the process; nowhere if none.
    pub data: Option<PathBuf>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Carries out what was decided.
    pub actuator: Box<dyn Actuator>,
    /// The time between two turns of the control loop.
    pub interval: Span,
    /// The sandbox; its cache lies under `data` unless it says otherwise.
    pub sandbox: haggle_sandbox::Options,
    /// The store.
    pub store: StoreOptions,
    /// How much history is kept in memory.
    pub history: HistoryLimits,
    /// Whether every call of a plugin is journalled, so that it can be replayed.
    pub journal: bool,
    /// The directories that plugins may read.
    pub grants: BTreeMap<Name, Vec<Grant>>,
    /// Tells hosts apart in the ids of negotiations and leases; chosen at random once where none is
    /// given.
    pub id: Option<String>,
}

impl Default for HostOptions {
    /// On the real clock, without a memory, acting on nothing.
    fn default() -> Self {
        Self {
            data: None,
            clock: Arc::new(SystemClock::default()),
            actuator: Box::new(DryRun::new()),
            interval: Span::from_secs(15),
            sandbox: haggle_sandbox::Options::default(),
            store: StoreOptions::default(),
            history: HistoryLimits::default(),
            journal: true,
            grants: BTreeMap::new(),
            id: None,
        }
    }
}

/// The policy host: everything but the network.
///
/// Locks are taken in the order of the fields, and none is held while a plugin forecasts or assesses.
pub struct Host {
    /// Held for the whole of a turn or a scaling request.
    pub(crate) turning: Mutex<()>,
    /// Held by whoever changes what was described: checked, written, then shown.
    changing: Mutex<()>,
    catalog: RwLock<Arc<Catalog>>,
    states: Mutex<BTreeMap<Name, ServiceState>>,
    ledger: Mutex<Ledger>,
    actuator: Mutex<Box<dyn Actuator>>,
    history: Mutex<History>,
    pub(crate) failures: Mutex<Failures>,
    uploads: Mutex<Uploads>,
    pub(crate) decider: Decider,
    pub(crate) sandbox: Sandbox,
    pub(crate) persistence: Arc<Persistence>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) grants: BTreeMap<Name, Vec<Grant>>,
    pub(crate) interval: Span,
    events: Arc<Events>,
    pub(crate) id: String,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Host {
    /// Opens the store, loads the plugins, and takes up where an earlier run has left off.
    ///
    /// # Errors
    /// [`HostError`] where the data directory cannot be used or a built-in plugin does not load.
    pub fn open(options: HostOptions) -> Result<Self, HostError> {
        let HostOptions { data, clock, actuator, interval, mut sandbox, .. } = options;
        let persistence =
            Arc::new(Persistence::open(data.as_deref(), &options.store, options.journal)?);
        if sandbox.cache.is_none() {
            sandbox.cache = data.as_ref().map(|data| data.join("cache"));
        }
        let (events, metrics) = (Arc::new(Events::new()), Arc::new(Metrics::new()));
        let decider =
            Decider::new(Arc::clone(&events), Arc::clone(&persistence), Arc::clone(&metrics));
        let id = persistence.host_id(options.id)?;
        let host = Self {
            turning: Mutex::default(),
            changing: Mutex::default(),
            catalog: RwLock::new(Arc::new(Catalog::new())),
            states: Mutex::default(),
            ledger: Mutex::new(Ledger::new()),
            actuator: Mutex::new(actuator),
            history: Mutex::new(History::new(options.history)),
            failures: Mutex::default(),
            uploads: Mutex::default(),
            decider,
            sandbox: Sandbox::new(sandbox).map_err(HostError::Sandbox)?,
            persistence,
            clock,
            metrics,
            grants: options.grants,
            interval,
            events,
            id,
        };
        host.restore_plugins()?;
        host.restore(options.history.keep)?;
        Ok(host)
    }

    /// What was described, as of now.
    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalog.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn changing(&self) -> MutexGuard<'_, ()> {
        lock(&self.changing)
    }

    pub(crate) fn states(&self) -> MutexGuard<'_, BTreeMap<Name, ServiceState>> {
        lock(&self.states)
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    pub(crate) fn actuator(&self) -> MutexGuard<'_, Box<dyn Actuator>> {
        lock(&self.actuator)
    }

    pub(crate) fn history(&self) -> MutexGuard<'_, History> {
        lock(&self.history)
    }

    pub(crate) fn uploads(&self) -> MutexGuard<'_, Uploads> {
        lock(&self.uploads)
    }

    pub(crate) fn emit(&self, kind: EventKind, subject: &str, message: String, detail: Value) {
        self.events.emit(self.clock.now(), kind, subject, message, detail);
    }

    /// Whatever happens from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Metrics in the text format of Prometheus.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        self.metrics.text()
    }

    /// Whether the host can do its work.
    ///
    /// # Errors
    /// What keeps it from that.
    pub fn ready(&self) -> Result<(), String> {
        self.persistence.commit(Batch::new()).map(drop).map_err(|error| error.to_string())
    }

    /// Adds a service or changes its description.
    ///
    /// # Errors
    /// [`HostError`] saying which field is wrong; nothing has changed then.
    pub fn put_service(&self, service: Service) -> Result<Put, HostError> {
        let _changing = self.changing();
        let mut catalog = self.catalog().as_ref().clone();
        catalog.check_service(&service)?;
        let mut batch = Batch::new();
        batch.put::<Services>(&service.name, &service)?;
        self.persistence.commit(batch)?;
        let service = Arc::new(service);
        let old = catalog.services.insert(service.name.clone(), Arc::clone(&service));
        catalog.graph.add_service(&service.name);
        self.track(&catalog, &service)?;
        self.show(catalog, "service", &service.name, old.is_some())
    }

    /// A service and where it stands.
    ///
    /// # Errors
    /// [`HostError::NotFound`].
    pub fn service(&self, name: &Name) -> Result<ServiceView, HostError> {
        let catalog = self.catalog();
        let service = catalog.service(name)?;
        Ok(self.service_view(service))
    }

    /// All services by name.
    #[must_use]
    pub fn services(&self) -> Vec<ServiceView> {
        self.catalog().services.values().map(|service| self.service_view(service)).collect()
    }

    /// Deletes a service that nothing depends on any more.
    ///
    /// # Errors
    /// [`HostError::NotFound`], or [`HostError::Graph`] while it has dependencies.
    pub fn delete_service(&self, name: &Name) -> Result<(), HostError> {
        let _changing = self.changing();
        let mut catalog = self.catalog().as_ref().clone();
        catalog.service(name)?;
        catalog.graph.remove_service(name)?;
        catalog.services.remove(name);
        let mut batch = Batch::new();
        batch.delete::<Services>(name)?.delete::<Standings>(name)?;
        let mut ledger = self.ledger();
        let held: Vec<_> = ledger.leases_of(name).map(|lease| lease.id.clone()).collect();
        for id in &held {
            batch.delete::<Leases>(id)?;
        }
        self.persistence.commit(batch)?;
        ledger.release(&held);
        ledger.remove_owner(&Owner::Service(name.clone()));
        drop(ledger);
        self.states().remove(name);
        self.actuator().forget(name);
        self.history().forget(name);
        self.metrics.forget(name);
        self.show(catalog, "service", name, true).map(drop)
    }

    /// Adds a dependency or changes it.
    ///
    /// # Errors
    /// [`HostError::Graph`].
    pub fn put_dependency(
        &self,
        from: &Name,
        to: &Name,
        dependency: Dependency,
    ) -> Result<Put, HostError> {
        let _changing = self.changing();
        let mut catalog = self.catalog().as_ref().clone();
        let old = catalog.graph.put(from, to, dependency.clone())?;
        let mut batch = Batch::new();
        batch.put::<Dependencies>(&(from.clone(), to.clone()), &dependency)?;
        self.persistence.commit(batch)?;
        self.show(catalog, "dependency", &format!("{from} -> {to}"), old.is_some())
    }

    /// Deletes a dependency.
    ///
    /// # Errors
    /// [`HostError::Graph`] where there is none.
    pub fn delete_dependency(&self, from: &Name, to: &Name) -> Result<(), HostError> {
        let _changing = self.changing();
        let mut catalog = self.catalog().as_ref().clone();
        catalog.graph.remove(from, to)?;
        let mut batch = Batch::new();
        batch.delete::<Dependencies>(&(from.clone(), to.clone()))?;
        self.persistence.commit(batch)?;
        self.show(catalog, "dependency", &format!("{from} -> {to}"), true).map(drop)
    }

    /// The dependency graph.
    #[must_use]
    pub fn graph(&self) -> GraphView {
        self.catalog().graph_view()
    }

    /// Adds a provider or changes what it has.
    ///
    /// # Errors
    /// [`HostError::Provider`] saying which unit and field is wrong.
    pub fn put_provider(&self, provider: Provider) -> Result<Put, HostError> {
        provider.validate()?;
        let _changing = self.changing();
        self.check_plugin("provider", &provider.name, "bidding", provider.bidding.as_ref())?;
        let mut catalog = self.catalog().as_ref().clone();
        let mut batch = Batch::new();
        batch.put::<Providers>(&provider.name, &provider)?;
        self.persistence.commit(batch)?;
        let provider = Arc::new(provider);
        let old = catalog.providers.insert(provider.name.clone(), Arc::clone(&provider));
        let mut ledger = self.ledger();
        for gone in old.iter().flat_map(|old| accounts(old)) {
            ledger.remove_owner(&gone);
        }
        self.open_accounts(&mut ledger, &provider);
        drop(ledger);
        self.show(catalog, "provider", &provider.name, old.is_some())
    }

    /// A provider.
    ///
    /// # Errors
    /// [`HostError::NotFound`].
    pub fn provider(&self, name: &Name) -> Result<Provider, HostError> {
        self.catalog().provider(name).map(|provider| provider.as_ref().clone())
    }

    /// All providers by name.
    #[must_use]
    pub fn providers(&self) -> Vec<Provider> {
        self.catalog().providers.values().map(|provider| provider.as_ref().clone()).collect()
    }

    /// Deletes a provider. Leases of its units run on until they end.
    ///
    /// # Errors
    /// [`HostError::NotFound`].
    pub fn delete_provider(&self, name: &Name) -> Result<(), HostError> {
        let _changing = self.changing();
        let mut catalog = self.catalog().as_ref().clone();
        let provider = Arc::clone(catalog.provider(name)?);
        catalog.providers.remove(name);
        let mut batch = Batch::new();
        batch.delete::<Providers>(name)?;
        self.persistence.commit(batch)?;
        let mut ledger = self.ledger();
        for owner in accounts(&provider) {
            ledger.remove_owner(&owner);
        }
        drop(ledger);
        self.show(catalog, "provider", name, true).map(drop)
    }

    /// Adds a scaling policy or changes it.
    ///
    /// # Errors
    /// [`HostError::Policy`] saying which field is wrong, [`HostError::Missing`] for a plugin that is not
    /// loaded.
    pub fn put_policy(&self, policy: ScalingPolicy) -> Result<Put, HostError> {
        policy.validate()?;
        let _changing = self.changing();
        for (field, plugin) in [
            ("forecast.plugin", &policy.forecast.plugin),
            ("failure.plugin", &policy.failure.plugin),
            ("bidding.plugin", &policy.bidding.plugin),
            ("tiering.plugin", &policy.tiering.plugin),
        ] {
            self.check_plugin("policy", &policy.name, field, Some(plugin))?;
        }
        let mut catalog = self.catalog().as_ref().clone();
        let mut batch = Batch::new();
        batch.put::<Policies>(&policy.name, &policy)?;
        self.persistence.commit(batch)?;
        let name = policy.name.clone();
        let old = catalog.policies.insert(name.clone(), Arc::new(policy));
        for service in catalog.services.values().filter(|service| service.policy == name) {
            self.track(&catalog, service)?;
        }
        self.show(catalog, "policy", &name, old.is_some())
    }

    /// A scaling policy.
    ///
    /// # Errors
    /// [`HostError::NotFound`].
    pub fn policy(&self, name: &Name) -> Result<ScalingPolicy, HostError> {
        self.catalog().policy(name).map(|policy| policy.as_ref().clone())
    }

    /// All scaling policies by name.
    #[must_use]
    pub fn policies(&self) -> Vec<ScalingPolicy> {
        self.catalog().policies.values().map(|policy| policy.as_ref().clone()).collect()
    }

    /// Takes in facts: all of the batch or nothing.
    ///
    /// # Errors
    /// [`HostError::Samples`] saying which sample is wrong, [`HostError::Missing`] for a service that is
    /// not known.
    pub fn push_samples(&self, batch: SampleBatch) -> Result<Accepted, HostError> {
        let SampleBatch { samples, failures } = batch;
        let now = self.clock.now();
        let catalog = self.catalog();
        let services = samples.iter().map(|sample| &sample.service);
        let reported = failures.iter().map(|failure| &failure.service);
        for service in services.chain(reported) {
            catalog.service(service)?;
        }
        let mut history = self.history();
        let accepted = history.push_all(now, &samples)?;
        // Still under the lock: what a reader sees is written in the order it was seen.
        self.persistence.commit(written(&samples, &failures, now)?)?;
        drop(history);
        let mut learnt = lock(&self.failures);
        for failure in failures {
            learnt.report(&failure.service, failure.subject, failure.time.unwrap_or(now));
        }
        Ok(accepted)
    }

    /// The latest forecast of a service's load.
    ///
    /// # Errors
    /// [`HostError::NotFound`], [`HostError::NoForecast`].
    pub fn forecast(&self, name: &Name) -> Result<ForecastView, HostError> {
        self.catalog().service(name)?;
        let states = self.states();
        let forecast = states.get(name).and_then(|state| state.forecast.clone());
        forecast.ok_or_else(|| HostError::NoForecast(name.to_string()))
    }

    /// How a negotiation went.
    ///
    /// # Errors
    /// [`HostError::NotFound`]; old negotiations are forgotten.
    pub fn negotiation(&self, id: &str) -> Result<Value, HostError> {
        let found = match self.persistence.store() {
            Some(store) => store.get::<Negotiations>(&id.to_owned())?,
            None => self.persistence.remembered(id),
        };
        found.ok_or_else(|| not_found("negotiation", id))
    }

    /// The leases that are held or confirmed.
    #[must_use]
    pub fn leases(&self) -> Vec<Lease> {
        let now = self.clock.now();
        self.ledger().leases().filter(|lease| lease.is_active(now)).cloned().collect()
    }

    /// Up to `limit` decisions after that sequence, oldest first.
    ///
    /// # Errors
    /// [`HostError::Store`].
    pub fn decisions(&self, after: u64, limit: usize) -> Result<Vec<Decision>, HostError> {
        match self.persistence.store() {
            Some(store) => Ok(store.after::<Decisions>(after, limit)?),
            None => Ok(self.persistence.decisions_after(after, limit)),
        }
    }

    /// How many replicas of a service there are.
    ///
    /// # Errors
    /// [`HostError::NotFound`].
    pub fn replicas(&self, name: &Name) -> Result<ReplicaStatus, HostError> {
        self.status(name).ok_or_else(|| not_found("service", name))
    }

    /// How many replicas a service has at this moment. The clock is read while the actuator is held: its
    /// time must not go backwards, whoever asks.
    pub(crate) fn status(&self, service: &Name) -> Option<ReplicaStatus> {
        let mut actuator = self.actuator();
        actuator.status(self.clock.now(), service)
    }

    fn service_view(&self, service: &Arc<Service>) -> ServiceView {
        let states = self.states();
        let state = states.get(&service.name);
        let replicas = self.status(&service.name).unwrap_or_default();
        let key = SeriesKey::load(service.name.clone());
        let observed = self.history().latest(&key).map(|(_, value)| value);
        let compliance =
            service.objective.and_then(|_| state.map(|state| state.compliance.share()));
        ServiceView {
            service: service.as_ref().clone(),
            status: ServiceStatus {
                replicas,
                tier: state.map_or(service.tier, |state| state.tier),
                share: state.map_or(0.0, |state| state.share),
                observed,
                planned: state.map_or_else(Quantities::new, |state| state.planned.clone()),
                risk: state.and_then(|state| state.risk),
                compliance,
            },
        }
    }

    fn check_plugin(
        &self,
        what: &'static str,
        name: &Name,
        field: &'static str,
        plugin: Option<&Name>,
    ) -> Result<(), HostError> {
        match plugin {
            Some(plugin) if self.decider.registry.current(plugin.as_str()).is_none() => {
                Err(HostError::Missing {
                    what,
                    name: name.to_string(),
                    field,
                    missing: format!("plugin {plugin}"),
                })
            }
            _ => Ok(()),
        }
    }

    /// Makes a service known to the ledger and to the actuator.
    fn track(&self, catalog: &Catalog, service: &Arc<Service>) -> Result<(), HostError> {
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

    fn open_accounts(&self, ledger: &mut Ledger, provider: &Provider) {
        for unit in &provider.units {
            let owner = Owner::Unit { provider: provider.name.clone(), unit: unit.id.clone() };
            for over in ledger.set_capacity(&owner, &unit.total()) {
                let message = format!("more is promised than there is: {over:?}");
                self.emit(EventKind::Alert, provider.name.as_str(), message, Value::Null);
            }
        }
    }

    fn show(
        &self,
        catalog: Catalog,
        what: &str,
        name: &(impl ToString + ?Sized),
        was_there: bool,
    ) -> Result<Put, HostError> {
        *self.catalog.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(catalog);
        let name = name.to_string();
        let message = format!("{what} {name} changed");
        self.emit(EventKind::Catalog, &name, message, serde_json::json!({ "what": what }));
        Ok(if was_there { Put::Updated } else { Put::Created })
    }

    /// Takes up where an earlier run has left off.
    fn restore(&self, keep: Span) -> Result<(), HostError> {
        let Some(store) = self.persistence.store() else { return Ok(()) };
        let now = self.clock.now();
        let mut catalog = Catalog::new();
        for entry in store.scan::<Policies>() {
            let (name, policy) = entry?;
            catalog.policies.insert(name, Arc::new(policy));
        }
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
        let leases: Vec<Lease> = store
            .scan::<Leases>()
            .map(|entry| entry.map(|(_, lease)| lease))
            .collect::<Result<_, _>>()?;
        let changed = self.ledger().restore(leases, now);
        let mut batch = Batch::new();
        crate::negotiating::keep_leases(&mut batch, &changed)?;
        self.persistence.commit(batch)?;
        self.restore_history(store, Window::new(now.before(keep), keep + Span::from_mins(1)))?;
        *self.catalog.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(catalog);
        Ok(())
    }

    fn restore_history(
        &self,
        store: &haggle_store::Store,
        window: Window,
    ) -> Result<(), HostError> {
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
}

/// What the store keeps of a batch of facts.
fn written(
    samples: &[Sample],
    failures: &[FailureReport],
    now: Timestamp,
) -> Result<Batch, HostError> {
    let mut batch = Batch::new();
    let mut series: BTreeMap<haggle_store::SeriesKey, Vec<haggle_store::Sample>> = BTreeMap::new();
    for sample in samples {
        let key = haggle_store::SeriesKey {
            service: sample.service.clone(),
            metric: sample.metric.clone(),
            subject: sample.subject.clone().unwrap_or_default(),
        };
        let at = sample.time.unwrap_or(now);
        series.entry(key).or_default().push(haggle_store::Sample { at, value: sample.value });
    }
    for (key, samples) in &series {
        batch.samples(key, samples)?;
    }
    for failure in failures {
        batch.append::<Outcomes>(&Outcome {
            sequence: 0,
            at: failure.time.unwrap_or(now),
            subject: failure.subject.clone().unwrap_or_else(|| failure.service.to_string()),
            kind: "failure".to_owned(),
            detail: serde_json::json!({ "service": failure.service }),
        })?;
    }
    Ok(batch)
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host")
            .field("id", &self.id)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}
