use std::{
    sync::{
        Arc, Mutex,
        mpsc::{self, Sender},
    },
    thread::JoinHandle,
    time::Duration,
};

use arc_swap::ArcSwap;
use haggle_actuate::{Instance, ReplicaStatus};
use haggle_control::{Control, Event, EventKind, Input, Options, Progress, Request, State};
use haggle_model::{Decision, Name, Span, Timestamp};
use haggle_observe::History;
use haggle_prediction::{Policies, Prediction, ReadHistory};
use haggle_sandbox::Sandbox;
use haggle_store::{Decisions, Loss, Negotiations, Store, StoreError};
use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::{
    HostError,
    events::{Events, NumberedEvent},
    lanes::Lanes,
    metrics::{Counts, Metrics},
    models::KeptModels,
    observing::Watch,
    options::HostOptions,
    pass_timer, persist,
    reactor::{Mail, Reactor},
    restoring::Plugins,
    shared::{Actions, Shared, UnderWay},
};

/// The policy host: everything but the HTTP API. All methods are thread-safe.
pub struct Host {
    shared: Arc<Shared>,
    pub(crate) mode: Mode,
    /// Set until the host is dropped.
    edge: Option<tokio::runtime::Runtime>,
}

/// The time within which a host that is ready finishes a write. A probe gives up after a few seconds.
const PATIENCE: Duration = Duration::from_secs(1);

pub(crate) enum Mode {
    /// The thread that steps the host does the work.
    Inline(Box<Mutex<Reactor>>),
    Live {
        /// The channel to the core.
        mail: Sender<Mail>,
        /// The core's thread; set until the host is dropped.
        core: Option<JoinHandle<()>>,
    },
}

impl Host {
    /// Opens the store, loads the plugins, and restores the state of an earlier run.
    ///
    /// # Errors
    /// [`HostError`] when the data directory cannot be used, has lost acknowledged writes
    /// ([`haggle_store::Loss`]), or a built-in plugin does not load. A single unreadable record is omitted,
    /// with an alert.
    pub fn open(options: HostOptions) -> Result<Arc<Self>, HostError> {
        let HostOptions { data, clock, driver, transport, interval, mut sandbox, live, .. } =
            options;
        let store = Arc::new(match &data {
            Some(data) => Store::open(data, &options.store)?,
            None => Store::in_memory()?,
        });
        if sandbox.cache.is_none() {
            sandbox.cache = data.as_ref().map(|data| data.join("cache"));
        }
        let sandbox = Sandbox::new(sandbox).map_err(HostError::Sandbox)?;
        let (events, metrics) = (Arc::new(Events::new()), Arc::new(Metrics::new()));
        let id = persist::host_id(&store, options.id)?;
        let now = clock.now();
        let mut alerts = Vec::new();
        let restored = persist::restore(&store, &mut |what| alerts.push(what))?;
        let watch = || Watch {
            events: Arc::clone(&events),
            metrics: Arc::clone(&metrics),
            clock: Arc::clone(&clock),
        };
        let journal = options.journal && data.is_some();
        let plugins = Plugins::open(sandbox, &store, journal, watch())?;
        let control = Options {
            host: id,
            interval,
            built_in: plugins.built_in_roles(),
            ..Options::default()
        };
        let (control, effects) = Control::restore(control, restored, now);
        plugins.restore(control.snapshot().plugins(), &store, &mut |what| alerts.push(what));
        let edge = runtime().map_err(|error| HostError::Task(error.to_string()))?;
        let width = std::thread::available_parallelism().map_or(1, usize::from);
        let history = Arc::new(Mutex::new(History::new(options.history)));
        let prediction = Prediction::new(
            Arc::clone(&plugins.decider) as Arc<dyn Policies>,
            Arc::clone(&history) as Arc<dyn ReadHistory>,
            Arc::new(KeptModels(Arc::clone(&store))),
            Arc::new(watch()),
        );
        let shared = Arc::new(Shared {
            snapshot: ArcSwap::new(control.snapshot()),
            store,
            plugins,
            prediction,
            transport,
            addresses: options.addresses,
            driver,
            events,
            metrics,
            clock,
            history,
            lanes: Lanes::new(width),
            under_way: UnderWay::default(),
            actions: Actions::default(),
            interval,
            grants: options.grants,
            edge: edge.handle().clone(),
        });
        let reach = control.snapshot().catalog().longest_history();
        shared.history().reach(reach + Span::from_mins(60));
        shared.restore_history(&mut |what| alerts.push(what))?;
        if let Some(loss) = shared.store.loss() {
            shared.metrics.lost_writes(loss.missing());
            shared.alert("store", lost(loss));
        }
        for what in alerts {
            shared.alert("store", format!("left out at the start: {what}"));
        }
        let names: Vec<Name> = control.snapshot().services().map(|(s, _)| s.name.clone()).collect();
        let observed = shared.observed(names.iter());
        let mode = match live {
            false => {
                let mut reactor = Reactor::inline(control, Arc::clone(&shared), effects);
                reactor.take(Mail::Happened(Input::Observed(observed)));
                Mode::Inline(Box::new(Mutex::new(reactor)))
            }
            true => {
                let (mail, inbox) = mpsc::channel();
                let task = |error: std::io::Error| HostError::Task(error.to_string());
                let reactor = Reactor::live(control, Arc::clone(&shared), mail.clone(), effects);
                let mut reactor = reactor.map_err(task)?;
                reactor.take(Mail::Happened(Input::Observed(observed)));
                let core = std::thread::Builder::new()
                    .name("core".to_owned())
                    .spawn(move || reactor.run(&inbox))
                    .map_err(task)?;
                pass_timer::start(Arc::clone(&shared), mail.clone()).map_err(task)?;
                Mode::Live { mail, core: Some(core) }
            }
        };
        Ok(Arc::new(Self { shared, mode, edge: Some(edge) }))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Returns the durable state without blocking.
    #[must_use]
    pub fn snapshot(&self) -> Arc<State> {
        self.shared.snapshot.load_full()
    }

    /// Returns the current time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Subscribes to events from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<NumberedEvent> {
        self.shared.events.subscribe()
    }

    /// Returns the metrics in the text format of Prometheus.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        self.shared.metrics.text(&self.snapshot())
    }

    /// Returns the counts since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.metrics.counts()
    }

    /// Checks whether the host can work.
    ///
    /// # Errors
    /// The reason why it cannot.
    pub async fn ready(&self) -> Result<(), String> {
        // Check for trouble first: the commit below would wait until the disk works again.
        if let Some(error) = self.shared.store.trouble() {
            return Err(error.to_string());
        }
        let barrier = self.shared.store.commit(haggle_store::Batch::new());
        match tokio::time::timeout(PATIENCE, barrier).await {
            Ok(outcome) => outcome.map(drop).map_err(|error| error.to_string()),
            Err(_) => Err(format!("the disk has not finished a write within {PATIENCE:?}")),
        }
    }

    /// Returns the service's replica status from the driver.
    #[must_use]
    pub fn status(&self, service: &Name) -> ReplicaStatus {
        self.shared.driver.status(self.now(), service).unwrap_or_default()
    }

    /// Returns at most `most` replicas of a service.
    #[must_use]
    pub fn replicas(&self, service: &Name, most: usize) -> Vec<Instance> {
        self.shared.driver.replicas(self.now(), service, most)
    }

    /// Returns the progress of a scaling request. It is available until the request has ended, and for a
    /// while after.
    ///
    /// # Errors
    /// [`ControlError::NotFound`](haggle_control::ControlError::NotFound).
    pub fn progress(&self, id: &str) -> Result<Progress, HostError> {
        if let Some(progress) = self.snapshot().request(id) {
            return Ok(progress);
        }
        let kept: Option<Request> =
            existing(self.shared.store.get::<persist::Requests>(&id.to_owned()))?;
        let not_found = || HostError::not_found("scaling request", id);
        kept.map(|request| request.progress()).ok_or_else(not_found)
    }

    /// Returns the record of a negotiation, or its demand while it is open.
    ///
    /// # Errors
    /// [`ControlError::NotFound`](haggle_control::ControlError::NotFound); the host deletes old negotiations.
    pub fn negotiation(&self, id: &str) -> Result<Value, HostError> {
        if let Some(demand) = self.snapshot().open_session(id) {
            return Ok(json!({ "id": id, "outcome": "open", "demand": demand }));
        }
        let record = existing(self.shared.store.get::<Negotiations>(&id.to_owned()))?;
        if let Some(record) = record {
            return Ok(record);
        }
        let progress = self.progress(id);
        let not_found = |_| HostError::not_found("negotiation", id);
        let progress = progress.map_err(not_found)?;
        serde_json::to_value(progress).map_err(|error| HostError::Task(error.to_string()))
    }

    /// Returns up to `limit` decisions after that sequence number, oldest first.
    ///
    /// # Errors
    /// [`HostError::Store`].
    pub fn decisions(&self, after: u64, limit: usize) -> Result<Vec<Decision>, HostError> {
        Ok(self.shared.store.after::<Decisions>(after, limit)?)
    }
}

impl Shared {
    pub(crate) fn alert(&self, subject: &str, message: String) {
        self.events.emit(Event {
            at: self.clock.now(),
            kind: EventKind::Alert,
            subject: subject.to_owned(),
            message,
            detail: json!({}),
        });
    }
}

fn lost(loss: &Loss) -> String {
    let kept = match &loss.kept {
        Some(kept) => format!("; the damaged state is kept in {}", kept.display()),
        None => String::new(),
    };
    format!("acknowledged writes are lost: {}{kept}", loss.what())
}

/// Treats a key that is too long as absent, because nothing can be stored under it.
fn existing<T>(found: Result<Option<T>, StoreError>) -> Result<Option<T>, StoreError> {
    match found {
        Err(StoreError::KeyTooLong { .. }) => Ok(None),
        found => found,
    }
}

/// Creates the runtime for transports and drivers.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("edge")
        .enable_all()
        .build()
}

impl Drop for Host {
    /// Stops the threads of a live host, once the core has processed its pending mail. Acknowledged changes
    /// are durable, and plugin calls that have ended are in the journal.
    fn drop(&mut self) {
        self.shared.lanes.close();
        if let Mode::Live { mail, core } = &mut self.mode {
            drop(mail.send(Mail::Close));
            // A thread that panicked has reported it.
            drop(core.take().map(JoinHandle::join));
        }
        if let Some(edge) = self.edge.take() {
            edge.shutdown_background();
        }
        self.shared.plugins.flush_journal();
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let live = matches!(self.mode, Mode::Live { .. });
        f.debug_struct("Host").field("live", &live).finish_non_exhaustive()
    }
}
