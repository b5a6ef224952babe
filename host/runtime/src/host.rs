use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        mpsc::{self, Sender},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use haggle_actuate::{Driver, DryRun, Immediate, Replica, ReplicaStatus};
use haggle_control::{
    Answer, Caller, Change, Control, ControlError, Event, EventKind, Input, Options, PassReport,
    Principal, Progress, Put, ReclaimRequest, Reclaimed, ReplicaReport, Request, ScalingRequest,
    ScalingVerdict, ScalingWindow, Scope, State,
};
use haggle_model::{Decision, Name, Span, Timestamp};
use haggle_negotiate::{Message, MessageId, Party};
use haggle_observe::{History, HistoryLimits};
use haggle_prediction::{Policies, Prediction, ReadHistory};
use haggle_sandbox::{Grant, Sandbox};
use haggle_store::{Decisions, Negotiations, Store, StoreOptions};
use haggle_transport::Transports;
use rayon::prelude::*;
use serde_json::{Value, json};
use tokio::sync::{broadcast, oneshot};

use crate::{
    HostError,
    clock::{Clock, SystemClock},
    events::{Events, NumberedEvent},
    lanes::Lanes,
    metrics::{Counts, Metrics},
    models::KeptModels,
    observing::Watch,
    persist,
    reactor::{Answered, Mail, Reactor},
    reconciler,
    restoring::Plugins,
    shared::{Actions, Shared, UnderWay, lock},
};

/// How a host is set up.
pub struct HostOptions {
    /// Where everything is kept that must outlive the process; in memory if none.
    pub data: Option<PathBuf>,
    /// Whether the host lives by itself: it reconciles at every interval, and what takes time runs beside it.
    /// Otherwise it is stepped, with [`Host::pass`], and does everything at once and in order.
    pub live: bool,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Carries out what was decided.
    pub driver: Arc<dyn Driver>,
    /// How parties elsewhere are reached.
    pub transport: Transports,
    /// The time between two reconcile passes.
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
    /// Tells hosts apart in the ids of negotiations and leases; chosen at random once where none is given.
    pub id: Option<String>,
}

impl Default for HostOptions {
    /// On the real clock, stepped, without a memory that outlives it, acting on nothing.
    fn default() -> Self {
        Self {
            data: None,
            live: false,
            clock: Arc::new(SystemClock),
            driver: Arc::new(Immediate::new(DryRun::new())),
            transport: Transports::new(),
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

/// The policy host: everything but the HTTP API. Every method may be called from any thread.
pub struct Host {
    shared: Arc<Shared>,
    mode: Mode,
    /// Until the host is dropped.
    edge: Option<tokio::runtime::Runtime>,
}

enum Mode {
    /// Whoever steps the host does the work.
    Inline(Box<Mutex<Reactor>>),
    Live(Sender<Mail>),
}

/// What a pass of a stepped host has done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pass {
    /// What the core says.
    pub report: PassReport,
    /// What has been counted since the pass before.
    pub counts: Counts,
}

/// How long a live host waits for a forecaster before it reconciles without it, at most.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

impl Host {
    /// Opens the store, loads the plugins, and takes up where an earlier run has left off.
    ///
    /// # Errors
    /// [`HostError`] where the data directory cannot be used or a built-in plugin does not load. A single
    /// record that cannot be read is left out, with an alert.
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
        plugins.restore(&control.snapshot(), &store, &mut |what| alerts.push(what));
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
                std::thread::Builder::new()
                    .name("core".to_owned())
                    .spawn(move || reactor.run(&inbox))
                    .map_err(task)?;
                Mode::Live(mail)
            }
        };
        if let Mode::Live(mail) = &mode {
            let task = |error: std::io::Error| HostError::Task(error.to_string());
            reconciler::start(Arc::clone(&shared), mail.clone()).map_err(task)?;
        }
        Ok(Arc::new(Self { shared, mode, edge: Some(edge) }))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The durable state. Nobody waits for it.
    #[must_use]
    pub fn snapshot(&self) -> Arc<State> {
        self.shared.snapshot.load_full()
    }

    /// The present.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Whatever happens from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<NumberedEvent> {
        self.shared.events.subscribe()
    }

    /// Metrics in the text format of Prometheus.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        self.shared.metrics.text(&self.snapshot())
    }

    /// What was counted since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.metrics.counts()
    }

    /// Whether the host can do its work.
    ///
    /// # Errors
    /// What keeps it from that.
    pub async fn ready(&self) -> Result<(), String> {
        let barrier = self.shared.store.commit(haggle_store::Batch::new());
        barrier.await.map(drop).map_err(|error| error.to_string())
    }

    /// How many replicas the driver has for a service.
    #[must_use]
    pub fn status(&self, service: &Name) -> ReplicaStatus {
        self.shared.driver.status(self.now(), service).unwrap_or_default()
    }

    /// The replicas of a service, at most `most` of them.
    #[must_use]
    pub fn replicas(&self, service: &Name, most: usize) -> Vec<Replica> {
        self.shared.driver.replicas(self.now(), service, most)
    }

    /// Changes a document.
    ///
    /// # Errors
    /// [`HostError::Control`] saying which field is wrong.
    pub async fn change(&self, _by: Principal, change: Change) -> Result<Put, HostError> {
        let reaches = matches!(change, Change::PutPolicy(_));
        let change = Box::new(change);
        let answer = self.ask(move |caller| Input::Change { caller, change }).await?;
        if reaches {
            let back = self.snapshot().catalog().longest_history();
            self.shared.history().reach(back + Span::from_mins(60));
        }
        match answer {
            Answer::Put(put) => Ok(put),
            _ => Err(unexpected()),
        }
    }

    /// Asks to scale, and waits until all of it is negotiated.
    ///
    /// # Errors
    /// [`HostError::Control`] where the request makes no sense. A denial is no error.
    pub async fn request(
        &self,
        _by: Principal,
        request: ScalingRequest,
    ) -> Result<ScalingVerdict, HostError> {
        match self.ask_to_scale(request, false).await? {
            Answer::Verdict(verdict) => Ok(verdict),
            _ => Err(unexpected()),
        }
    }

    /// Asks to scale, and says where that stands once it is durable.
    ///
    /// # Errors
    /// As [`Host::request`].
    pub async fn accept(
        &self,
        _by: Principal,
        request: ScalingRequest,
    ) -> Result<Progress, HostError> {
        match self.ask_to_scale(request, true).await? {
            Answer::Accepted(progress) => Ok(progress),
            Answer::Verdict(verdict) => {
                let negotiation = verdict.negotiation.clone();
                Ok(Progress { negotiation, pending: false, verdict: Some(verdict) })
            }
            _ => Err(unexpected()),
        }
    }

    async fn ask_to_scale(
        &self,
        request: ScalingRequest,
        respond_early: bool,
    ) -> Result<Answer, HostError> {
        let (arrived, request) = (self.now(), Box::new(request));
        self.ask(move |caller| Input::Request { caller, request, arrived, respond_early }).await
    }

    /// Where a scaling request stands. It is known until all of it is over, and for a while after.
    ///
    /// # Errors
    /// [`ControlError::NotFound`].
    pub fn progress(&self, id: &str) -> Result<Progress, HostError> {
        if let Some(progress) = self.snapshot().request(id) {
            return Ok(progress);
        }
        let kept: Option<Request> = self.shared.store.get::<persist::Requests>(&id.to_owned())?;
        let not_found = || HostError::not_found("scaling request", id);
        kept.map(|request| request.progress()).ok_or_else(not_found)
    }

    /// Cancels a scaling request. The second time changes nothing.
    ///
    /// # Errors
    /// [`ControlError::NotFound`].
    pub async fn cancel(&self, _by: Principal, id: &str) -> Result<(), HostError> {
        let asked = id.to_owned();
        match self.ask(move |caller| Input::Cancel { caller, id: asked }).await {
            Ok(_) => Ok(()),
            // One that is over has nothing left to cancel.
            Err(HostError::Control(ControlError::NotFound { .. })) => self.progress(id).map(drop),
            Err(error) => Err(error),
        }
    }

    /// Changes a reservation in place: negotiates for the new window, and keeps the old one if that is denied.
    ///
    /// # Errors
    /// [`HostError::Control`].
    pub async fn amend(
        &self,
        _by: Principal,
        id: &str,
        window: ScalingWindow,
    ) -> Result<ScalingVerdict, HostError> {
        let (id, window) = (id.to_owned(), Box::new(window));
        match self.ask(move |caller| Input::Amend { caller, id, window }).await? {
            Answer::Verdict(verdict) => Ok(verdict),
            _ => Err(unexpected()),
        }
    }

    /// How a negotiation went, or what it is about while it is open.
    ///
    /// # Errors
    /// [`ControlError::NotFound`]; old negotiations are forgotten.
    pub fn negotiation(&self, id: &str) -> Result<Value, HostError> {
        if let Some(demand) = self.snapshot().open_session(id) {
            return Ok(json!({ "id": id, "outcome": "open", "demand": demand }));
        }
        if let Some(record) = self.shared.store.get::<Negotiations>(&id.to_owned())? {
            return Ok(record);
        }
        let progress = self.progress(id);
        let not_found = |_| HostError::not_found("negotiation", id);
        let progress = progress.map_err(not_found)?;
        serde_json::to_value(progress).map_err(|error| HostError::Task(error.to_string()))
    }

    /// A provider takes capacity back.
    ///
    /// # Errors
    /// [`HostError::Control`].
    pub async fn reclaim(
        &self,
        _by: Principal,
        provider: Name,
        request: ReclaimRequest,
    ) -> Result<Reclaimed, HostError> {
        match self.ask(move |caller| Input::Reclaim { caller, provider, request }).await? {
            Answer::Reclaimed(reclaimed) => Ok(reclaimed),
            _ => Err(unexpected()),
        }
    }

    /// A provider has back what it had taken of a unit.
    ///
    /// # Errors
    /// [`HostError::Control`].
    pub async fn restock(
        &self,
        _by: Principal,
        provider: Name,
        unit: Name,
    ) -> Result<(), HostError> {
        self.ask(move |caller| Input::Restock { caller, provider, unit }).await.map(drop)
    }

    /// Takes in a message of a party.
    ///
    /// # Errors
    /// [`HostError::Control`] saying why it changes nothing.
    pub async fn receive(&self, message: Message) -> Result<(), HostError> {
        let message = Box::new(message);
        self.ask(move |caller| Input::Message { caller, message }).await.map(drop)
    }

    /// Takes in that a party has sent what cannot be read; the error says so.
    pub async fn receive_unreadable(
        &self,
        session: String,
        from: Party,
        about: MessageId,
        why: String,
    ) -> HostError {
        let asked = self.ask(move |caller| {
            let caller = Some(caller);
            Input::Unreadable { caller, session, from, about, why }
        });
        asked.await.err().unwrap_or_else(unexpected)
    }

    /// Up to `limit` decisions after that sequence, oldest first.
    ///
    /// # Errors
    /// [`HostError::Store`].
    pub fn decisions(&self, after: u64, limit: usize) -> Result<Vec<Decision>, HostError> {
        Ok(self.shared.store.after::<Decisions>(after, limit)?)
    }

    /// Takes one reconcile pass of a stepped host: observe, forecast, assess, tier, decide, act. All of it is
    /// done when this returns.
    ///
    /// # Errors
    /// [`HostError::Task`] of a live host, which reconciles by itself.
    pub fn pass(&self) -> Result<Pass, HostError> {
        let Mode::Inline(reactor) = &self.mode else {
            return Err(HostError::Task("a live host reconciles by itself".to_owned()));
        };
        let before = self.counts();
        let started = Instant::now();
        let mut reactor = lock(reactor);
        reactor.tick();
        let now = self.now();
        let driver = Arc::clone(&self.shared.driver);
        let seen = self.shared.wait_for(async move { driver.observe(now).await });
        reactor.take(Mail::Happened(Input::Driver(reports(seen.unwrap_or_default()))));
        let snapshot = self.snapshot();
        let jobs = self.shared.prediction.jobs(&snapshot, now);
        let inputs: Vec<Vec<Input>> = jobs.into_par_iter().map(|job| job.run()).collect();
        for input in inputs.into_iter().flatten() {
            reactor.take(Mail::Happened(input));
        }
        reactor.take(Mail::Happened(Input::Reconcile(Scope::All)));
        drop(reactor);
        self.shared.history().prune(now);
        self.shared.plugins.flush_journal();
        let report = self.snapshot().report().clone();
        self.shared.metrics.pass(report.services, started.elapsed().as_secs_f64());
        let after = self.counts();
        let counts = Counts {
            approved: after.approved - before.approved,
            reduced: after.reduced - before.reduced,
            denied: after.denied - before.denied,
            decisions: after.decisions - before.decisions,
        };
        Ok(Pass { report, counts })
    }

    /// Tells the core that something has happened. A live host takes it in when its turn comes.
    pub(crate) async fn happened(&self, input: Input) {
        match &self.mode {
            Mode::Inline(reactor) => lock(reactor).take(Mail::Happened(input)),
            // A host that closes listens to nobody.
            Mode::Live(mail) => drop(mail.send(Mail::Happened(input))),
        }
    }

    /// Asks the core and waits for its answer, which holds no thread of a live host.
    pub(crate) async fn ask(
        &self,
        input: impl FnOnce(Caller) -> Input + Send + 'static,
    ) -> Result<Answer, HostError> {
        let (reply, answer) = oneshot::channel::<Answered>();
        let mail = Mail::Ask(Box::new(input), reply);
        match &self.mode {
            Mode::Inline(reactor) => lock(reactor).take(mail),
            Mode::Live(core) => {
                core.send(mail).map_err(|_| HostError::Closing)?;
            }
        }
        let answer = answer.await.map_err(|_| HostError::Closing)?;
        Ok(*answer?)
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

pub(crate) fn reports(seen: Vec<(Name, ReplicaStatus)>) -> Vec<ReplicaReport> {
    let report = |(service, status): (Name, ReplicaStatus)| ReplicaReport {
        service,
        desired: status.desired,
        ready: status.ready,
    };
    seen.into_iter().map(report).collect()
}

/// The runtime for transports and drivers.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("edge")
        .enable_all()
        .build()
}

fn unexpected() -> HostError {
    HostError::Task("the core gave another kind of answer than was asked for".to_owned())
}

impl Drop for Host {
    /// Ends the threads of a live host. What was acknowledged is durable.
    fn drop(&mut self) {
        self.shared.lanes.close();
        if let Mode::Live(mail) = &self.mode {
            drop(mail.send(Mail::Close));
        }
        if let Some(edge) = self.edge.take() {
            edge.shutdown_background();
        }
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let live = matches!(self.mode, Mode::Live(_));
        f.debug_struct("Host").field("live", &live).finish_non_exhaustive()
    }
}
