//! Threads for calls of plugins. Each plugin has a lane of its own, in which only so many calls run at once:
//! a slow plugin keeps its own callers waiting and nobody else's.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use haggle_model::Name;

type Job = Box<dyn FnOnce() + Send>;

/// Runs jobs in lanes.
#[derive(Clone)]
pub(crate) struct Lanes(Arc<Shared>);

struct Shared {
    /// How many jobs of one lane run at once.
    width: usize,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    lanes: BTreeMap<Name, Lane>,
    /// What may run now, with its lane.
    ready: VecDeque<(Name, Job)>,
    idle: usize,
    threads: usize,
    closed: bool,
}

#[derive(Default)]
struct Lane {
    running: usize,
    waiting: VecDeque<Job>,
}

/// A thread without work ends after this time.
const IDLE: Duration = Duration::from_secs(10);

/// So many jobs of one lane wait at most; more are refused.
const MOST_WAITING: usize = 10_000;

impl Lanes {
    /// Lanes in which `width` jobs run at once.
    pub(crate) fn new(width: usize) -> Self {
        let (state, work) = (Mutex::default(), Condvar::new());
        Self(Arc::new(Shared { width: width.max(1), state, work }))
    }

    /// Runs a job in the lane of a plugin, now or when it has its turn. Whether it is taken: not where too
    /// many wait already.
    pub(crate) fn run(&self, lane: &Name, job: impl FnOnce() + Send + 'static) -> bool {
        let mut state = self.0.lock();
        if state.closed {
            return false;
        }
        let entry = state.lanes.entry(lane.clone()).or_default();
        if entry.running >= self.0.width {
            if entry.waiting.len() >= MOST_WAITING {
                return false;
            }
            entry.waiting.push_back(Box::new(job));
            return true;
        }
        entry.running += 1;
        state.ready.push_back((lane.clone(), Box::new(job)));
        if state.idle >= state.ready.len() {
            self.0.work.notify_one();
            return true;
        }
        state.threads += 1;
        let shared = Arc::clone(&self.0);
        let spawned =
            std::thread::Builder::new().name("plugin".to_owned()).spawn(move || shared.work());
        if spawned.is_err() {
            state.threads -= 1;
        }
        // Without a thread of its own it waits for another one, where there is one.
        spawned.is_ok() || state.threads > 0
    }

    /// Takes nothing more. What runs goes on.
    pub(crate) fn close(&self) {
        self.0.lock().closed = true;
        self.0.work.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        // The core and the API go first: a plugin that computes must not keep them waiting.
        if let Err(error) = rustix::process::nice(10) {
            tracing::debug!("calls of plugins run at the usual priority: {error}");
        }
        let mut state = self.lock();
        loop {
            if let Some((lane, job)) = state.ready.pop_front() {
                drop(state);
                // A job that panics must not keep its lane blocked.
                let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
                if outcome.is_err() {
                    tracing::error!(plugin = %lane, "a call of a plugin ended abruptly");
                }
                state = self.lock();
                state.leave(&lane);
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
    /// A job has ended: the next of its lane may run.
    fn leave(&mut self, name: &Name) {
        let Some(lane) = self.lanes.get_mut(name) else { return };
        match lane.waiting.pop_front() {
            Some(next) => self.ready.push_back((name.clone(), next)),
            None => {
                lane.running -= 1;
                if lane.running == 0 {
                    self.lanes.remove(name);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Barrier, mpsc};

    use haggle_model::Name;

    use super::Lanes;

    #[test]
    fn a_blocked_lane_holds_up_no_other() {
        let lanes = Lanes::new(1);
        let (slow, quick) = (Name::new("slow").unwrap(), Name::new("quick").unwrap());
        let gate = Arc::new(Barrier::new(2));
        let (done, results) = mpsc::channel();
        let (blocked, first) = (Arc::clone(&gate), done.clone());
        assert!(lanes.run(&slow, move || {
            blocked.wait();
            first.send("slow").unwrap();
        }));
        let behind = done.clone();
        assert!(lanes.run(&slow, move || behind.send("behind").unwrap()));
        assert!(lanes.run(&quick, move || done.send("quick").unwrap()));
        assert_eq!(results.recv().unwrap(), "quick");
        gate.wait();
        assert_eq!([results.recv().unwrap(), results.recv().unwrap()], ["slow", "behind"]);
    }

    #[test]
    fn a_job_that_panics_frees_its_lane() {
        let lanes = Lanes::new(1);
        let lane = Name::new("bad").unwrap();
        let (done, results) = mpsc::channel();
        assert!(lanes.run(&lane, || panic!("as planned")));
        assert!(lanes.run(&lane, move || done.send(()).unwrap()));
        results.recv().unwrap();
    }
}
