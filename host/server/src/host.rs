use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use haggle_actuate::{Actuator, DryRun, ReplicaStatus};
use haggle_model::{Name, Quantities, Service, Span, Timestamp};
use haggle_negotiate::{Engine, EngineOptions, Ledger};
use haggle_observe::{History, HistoryLimits, SeriesKey};
use haggle_sandbox::{Grant, Sandbox};
use haggle_store::{Batch, StoreOptions};
use serde_json::Value;
use tokio::sync::broadcast;

use crate::{
    clock::{Clock, SystemClock},
    documents::catalog::{Catalog, not_found},
    error::HostError,
    events::{Event, EventKind, Events},
    metrics::{Metrics, ServiceFigures},
    negotiating::{
        complaints::Complaints, courier::Outbox, exchange::AllWaiting, reclaiming::Announced,
    },
    persistence::Persistence,
    plugins::{Uploads, decider::Decider},
    state::ServiceState,
    turn::failures::Failures,
    views::{ServiceStatus, ServiceView},
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
    /// How much history is kept in memory; more where a policy asks for more.
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
    pub(crate) catalog: RwLock<Arc<Catalog>>,
    /// Sessions with parties elsewhere, and what each is for.
    pub(crate) engine: Mutex<Engine>,
    pub(crate) waiting: Mutex<AllWaiting>,
    pub(crate) reclaims: Mutex<Announced>,
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
    pub(crate) outbox: Outbox,
    pub(crate) complaints: Mutex<Complaints>,
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
            engine: Mutex::new(Engine::new(EngineOptions::default())),
            waiting: Mutex::default(),
            reclaims: Mutex::default(),
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
            outbox: Outbox::default(),
            complaints: Mutex::default(),
            id,
        };
        host.restore_plugins()?;
        host.restore()?;
        host.restore_reclaims()?;
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
        let (catalog, states, history) = (self.catalog(), self.states(), self.history());
        let figures = |service: &Arc<Service>| {
            let state = states.get(&service.name)?;
            let resource = service.load_resource();
            Some(ServiceFigures {
                service: service.name.clone(),
                replicas: state.replicas,
                load: history.latest(&SeriesKey::load_of(service)).map(|(_, load)| load),
                planned: state.planned.names(resource).then(|| state.planned.get(resource)),
                confidence: state.forecast.as_ref().map(|forecast| forecast.outlook.confidence),
                accuracy: state.accuracy,
            })
        };
        let services: Vec<ServiceFigures> = catalog.services.values().filter_map(figures).collect();
        drop((states, history));
        self.metrics.text(&services)
    }

    /// Whether the host can do its work.
    ///
    /// # Errors
    /// What keeps it from that.
    pub fn ready(&self) -> Result<(), String> {
        self.persistence.commit(Batch::new()).map(drop).map_err(|error| error.to_string())
    }

    /// How many replicas of a service there are.
    ///
    /// # Errors
    /// [`HostError::NotFound`].
    pub fn replicas(&self, name: &Name) -> Result<ReplicaStatus, HostError> {
        self.status(name).ok_or_else(|| not_found("service", name))
    }

    /// The present, where that may have moved on since then.
    pub(crate) fn present(&self, since: Timestamp) -> Timestamp {
        if self.clock.is_real() { self.clock.now().max(since) } else { since }
    }

    /// How many replicas a service has at this moment. The clock is read while the actuator is held: its
    /// time must not go backwards, whoever asks.
    pub(crate) fn status(&self, service: &Name) -> Option<ReplicaStatus> {
        let mut actuator = self.actuator();
        actuator.status(self.clock.now(), service)
    }

    pub(crate) fn service_view(&self, service: &Arc<Service>) -> ServiceView {
        let states = self.states();
        let state = states.get(&service.name);
        let replicas = self.status(&service.name).unwrap_or_default();
        let key = SeriesKey::load_of(service);
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
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host")
            .field("id", &self.id)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}
