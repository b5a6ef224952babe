//! Reconciles a live host at every interval: plugins predict beside the core, and the pass starts when they
//! have answered or the time is up. A later prediction triggers a reconcile of its services.

use std::{
    sync::{Arc, Condvar, Mutex, Weak, mpsc::Sender},
    time::{Duration, Instant},
};

use haggle_actuate::ReplicaStatus;
use haggle_control::{Input, ReplicaReport, Scope};
use haggle_model::{Name, Span};
use haggle_store::{Decisions, Outcomes};

use crate::{lanes::Lane, lock::lock, reactor::Mail, shared::Shared};

/// Maximum time that a live host waits for forecasters before a reconcile pass.
const PATIENCE: Duration = Duration::from_secs(5);

/// The outstanding predictions of a pass.
#[derive(Default)]
struct Pending {
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Pending {
    fn add(&self) {
        lock(&self.state).0 += 1;
    }

    /// Marks one prediction as done. Returns `true` if the pass no longer waits for it.
    fn done(&self) -> bool {
        let mut state = lock(&self.state);
        state.0 -= 1;
        self.changed.notify_all();
        state.1
    }

    /// Waits until all predictions are done, at most `patience`. Predictions after that are late.
    fn wait(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let mut state = lock(&self.state);
        while state.0 > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
        state.1 = true;
    }
}

/// Starts the reconcile thread, which runs as long as the host lives.
pub(crate) fn start(shared: Arc<Shared>, mail: Sender<Mail>) -> std::io::Result<()> {
    let interval = Duration::from(shared.interval);
    let weak = Arc::downgrade(&shared);
    drop(shared);
    let upkeep = Weak::clone(&weak);
    std::thread::Builder::new().name("upkeep".to_owned()).spawn(move || tidy_up(&upkeep))?;
    std::thread::Builder::new().name("reconciler".to_owned()).spawn(move || {
        let mut due = Instant::now();
        loop {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let Some(shared) = weak.upgrade() else { return };
            // After a pass that overruns, the next one starts at once; missed passes are not repeated.
            due = (due + interval).max(Instant::now());
            if !pass(&shared, &mail, interval) {
                return;
            }
        }
    })?;
    Ok(())
}

/// Runs one pass. Returns `false` if the core has stopped.
fn pass(shared: &Arc<Shared>, mail: &Sender<Mail>, interval: Duration) -> bool {
    let started = Instant::now();
    let now = shared.clock.now();
    let snapshot = shared.snapshot.load_full();
    let pending = Arc::new(Pending::default());
    for job in shared.prediction.jobs(&snapshot, now) {
        let services: Vec<Name> = job.services();
        let (told, beside) = (mail.clone(), Arc::clone(&pending));
        let lane = Lane::Predictions(job.plugin().clone());
        pending.add();
        let taken = shared.lanes.run(lane, move || {
            for input in job.run() {
                drop(told.send(Mail::Happened(input)));
            }
            if beside.done() {
                drop(told.send(Mail::Happened(Input::Reconcile(Scope::Services(services)))));
            }
        });
        if !taken {
            pending.done();
        }
    }
    pending.wait((interval / 2).min(PATIENCE));
    let (driver, now) = (Arc::clone(&shared.driver), shared.clock.now());
    if let Some(seen) = shared.wait_for(async move { driver.observe(now).await }) {
        drop(mail.send(Mail::Happened(Input::Driver(reports(seen)))));
    }
    let listens = mail.send(Mail::Happened(Input::Reconcile(Scope::All))).is_ok();
    let now = shared.clock.now();
    lock(&shared.history).prune(now);
    shared.plugins.flush_journal();
    let services = shared.snapshot.load().report().services;
    shared.metrics.pass(services, started.elapsed().as_secs_f64());
    listens
}

/// Interval of the cleanup.
const HOUR: Duration = Duration::from_secs(3600);

/// Delay of the first cleanup after the start.
const SOON: Duration = Duration::from_secs(60);

/// Maximum number of decisions and outcomes in the store.
const MOST_DECISIONS: u64 = 1_000_000;
const MOST_OUTCOMES: u64 = 100_000;

/// Periodically deletes old data.
fn tidy_up(shared: &Weak<Shared>) {
    let mut pause = SOON;
    let mut slept = Duration::ZERO;
    loop {
        std::thread::sleep(Duration::from_secs(1));
        let Some(shared) = shared.upgrade() else { return };
        slept += Duration::from_secs(1);
        if slept < pause {
            continue;
        }
        (pause, slept) = (HOUR, Duration::ZERO);
        if let Err(error) = shared.tidy_up() {
            tracing::warn!(%error, "what is old is not forgotten");
        }
    }
}

impl Shared {
    /// Deletes samples older than all history, the oldest decisions and outcomes, and unused models and
    /// components.
    pub(crate) fn tidy_up(&self) -> Result<(), haggle_store::StoreError> {
        let now = self.clock.now();
        let snapshot = self.snapshot.load_full();
        let keep = snapshot.catalog().longest_history() + Span::from_mins(60);
        while !self.store.prune_samples(now.before(keep))?.done {}
        while !self.store.prune_log::<Decisions>(MOST_DECISIONS, Default::default())?.done {}
        while !self.store.prune_log::<Outcomes>(MOST_OUTCOMES, Default::default())?.done {}
        self.prediction.sweep(&snapshot);
        self.sweep_artefacts()
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
