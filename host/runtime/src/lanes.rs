//! Threads for plugin calls. Each plugin has its own lanes, each with a limited number of concurrent calls,
//! so a slow plugin delays only its own callers. A call that waits too long leaves its lane and is run as
//! late.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use haggle_model::Name;
use haggle_plugins::Timeliness;

type Job = Box<dyn FnOnce(Timeliness) + Send>;

/// Runs jobs in lanes.
#[derive(Clone)]
pub(crate) struct Lanes(Arc<Shared>);

/// A kind of work for a plugin. A prediction may take a minute and a question in a negotiation a second, so
/// they have separate lanes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    /// Questions in negotiations.
    Questions(Name),
    /// Late questions, which the fallback answers.
    Late(Name),
    Predictions(Name),
}

struct Shared {
    /// Number of concurrent jobs in one lane.
    width: usize,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    lanes: BTreeMap<Lane, Queue>,
    /// Jobs that may run now, with their lanes.
    ready: VecDeque<(Lane, Timeliness, Job)>,
    /// Deadlines of waiting jobs: the time, the job's number, and its lane.
    late: BTreeSet<(Instant, u64, Lane)>,
    /// The number of the last job that had to wait.
    last: u64,
    idle: usize,
    threads: usize,
    closed: bool,
}

#[derive(Default)]
struct Queue {
    running: usize,
    /// Waiting jobs by number, so that they run in order of arrival.
    waiting: BTreeMap<u64, Waiting>,
}

struct Waiting {
    timeliness: Timeliness,
    late_at: Option<Instant>,
    job: Job,
}

/// Time after which an idle thread ends.
const IDLE: Duration = Duration::from_secs(10);

/// Maximum number of waiting jobs in one lane; further jobs are refused.
const MOST_WAITING: usize = 10_000;

impl Lanes {
    /// Creates lanes with `width` concurrent jobs each.
    pub(crate) fn new(width: usize) -> Self {
        let (state, work) = (Mutex::default(), Condvar::new());
        Self(Arc::new(Shared { width: width.max(1), state, work }))
    }

    /// Runs a job in a lane, now or when a slot is free. Returns `false` if the lane is full.
    pub(crate) fn run(&self, lane: Lane, job: impl FnOnce() + Send + 'static) -> bool {
        let job = Box::new(move |_| job());
        self.0.take(
            &mut self.0.lock(),
            lane,
            Waiting { timeliness: Timeliness::InTime, late_at: None, job },
        )
    }

    /// Runs a question to a plugin in its lane. If it has not started by `late_at`, or its lane is full, the
    /// next call of [`Lanes::pass_late`] moves it to the late lane. Returns whether the question was
    /// accepted.
    pub(crate) fn ask(
        &self,
        plugin: &Name,
        late_at: Instant,
        job: impl FnOnce(Timeliness) + Send + 'static,
    ) -> bool {
        let mut state = self.0.lock();
        let lane = Lane::Questions(plugin.clone());
        let is_full = state.lanes.get(&lane).is_some_and(|it| it.waiting.len() >= MOST_WAITING);
        let (lane, timeliness, late_at) = match is_full {
            true => (Lane::Late(plugin.clone()), Timeliness::Late, None),
            false => (lane, Timeliness::InTime, Some(late_at)),
        };
        self.0.take(&mut state, lane, Waiting { timeliness, late_at, job: Box::new(job) })
    }

    /// Moves all jobs that are late at `now` to the late lane, where the fallback runs them. Returns when the
    /// next waiting job becomes late.
    pub(crate) fn pass_late(&self, now: Instant) -> Option<Instant> {
        let mut state = self.0.lock();
        while let Some((late_at, number, lane)) = state.late.pop_first() {
            if late_at > now {
                state.late.insert((late_at, number, lane));
                return Some(late_at);
            }
            let queue = state.lanes.get_mut(&lane);
            let Some(waiting) = queue.and_then(|queue| queue.waiting.remove(&number)) else {
                continue;
            };
            let (Lane::Questions(plugin) | Lane::Late(plugin) | Lane::Predictions(plugin)) = lane;
            let waiting = Waiting { timeliness: Timeliness::Late, late_at: None, job: waiting.job };
            if !self.0.take(&mut state, Lane::Late(plugin.clone()), waiting) {
                tracing::error!(%plugin, "too many questions wait: one is given up");
            }
        }
        None
    }

    /// Refuses further jobs. Running jobs continue.
    pub(crate) fn close(&self) {
        self.0.lock().closed = true;
        self.0.work.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts a job. Returns `false` if there is no room.
    fn take(self: &Arc<Self>, state: &mut State, lane: Lane, waiting: Waiting) -> bool {
        if state.closed {
            return false;
        }
        let queue = state.lanes.entry(lane.clone()).or_default();
        if queue.running >= self.width {
            if queue.waiting.len() >= MOST_WAITING {
                return false;
            }
            state.last += 1;
            if let Some(late_at) = waiting.late_at {
                state.late.insert((late_at, state.last, lane));
            }
            queue.waiting.insert(state.last, waiting);
            return true;
        }
        queue.running += 1;
        state.ready.push_back((lane, waiting.timeliness, waiting.job));
        if state.idle >= state.ready.len() {
            self.work.notify_one();
            return true;
        }
        state.threads += 1;
        let shared = Arc::clone(self);
        let spawned =
            std::thread::Builder::new().name("plugin".to_owned()).spawn(move || shared.work());
        if spawned.is_err() {
            state.threads -= 1;
        }
        // If no thread can be started, the job waits for an existing one.
        spawned.is_ok() || state.threads > 0
    }

    fn work(&self) {
        // Lower the priority, so that a computing plugin does not delay the core and the API.
        if let Err(error) = rustix::process::nice(10) {
            tracing::debug!("calls of plugins run at the usual priority: {error}");
        }
        let mut state = self.lock();
        loop {
            if let Some((lane, timeliness, job)) = state.ready.pop_front() {
                drop(state);
                // A job that panics must not block its lane.
                let job = std::panic::AssertUnwindSafe(move || job(timeliness));
                if std::panic::catch_unwind(job).is_err() {
                    tracing::error!(%lane, "a call of a plugin ended abruptly");
                }
                state = self.lock();
                state.leave(lane);
                continue;
            }
            if state.closed {
                break;
            }
            state.idle += 1;
            let (next, waited) =
                self.work.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
            state = next;
            state.idle -= 1;
            if waited.timed_out() && state.ready.is_empty() {
                break;
            }
        }
        state.threads -= 1;
    }
}

impl State {
    /// Ends a job and releases its slot to the next job of the lane.
    fn leave(&mut self, lane: Lane) {
        let Some(queue) = self.lanes.get_mut(&lane) else { return };
        match queue.waiting.pop_first() {
            Some((number, Waiting { timeliness, late_at, job })) => {
                if let Some(late_at) = late_at {
                    self.late.remove(&(late_at, number, lane.clone()));
                }
                self.ready.push_back((lane, timeliness, job));
            }
            None => {
                queue.running -= 1;
                if queue.running == 0 {
                    self.lanes.remove(&lane);
                }
            }
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Questions(plugin) => write!(f, "questions to {plugin}"),
            Self::Late(plugin) => write!(f, "late questions to {plugin}"),
            Self::Predictions(plugin) => write!(f, "predictions by {plugin}"),
        }
    }
}

#[cfg(test)]
mod tests;
