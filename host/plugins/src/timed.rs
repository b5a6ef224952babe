//! Work that is waited for no longer than it may take.
//!
//! A guest in a loop that calls nothing is stopped only when it has counted as much as a fast processor could
//! have until its deadline, which may be some times as long. Whoever waits for it must not: the work goes on,
//! on a thread of its own, and what comes of it is dropped.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Counts work that goes on although nobody waits for it any more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overdue(Arc<AtomicUsize>);

/// What passes between whoever waits and the thread that works.
struct Handover<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

enum State<T> {
    Working,
    /// None where the work panicked.
    Done(Option<T>),
    /// Nobody waits any more.
    Abandoned,
}

/// Says that the work is over when it is dropped, be it by a panic.
struct End<T> {
    handover: Arc<Handover<T>>,
    overdue: Overdue,
    done: Option<T>,
}

impl Overdue {
    /// Whether any work is overdue.
    pub(crate) fn any(&self) -> bool {
        self.0.load(Ordering::Acquire) > 0
    }
}

impl<T> Handover<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Drop for End<T> {
    fn drop(&mut self) {
        let mut state = self.handover.lock();
        if matches!(*state, State::Abandoned) {
            self.overdue.0.fetch_sub(1, Ordering::AcqRel);
        } else {
            *state = State::Done(self.done.take());
            self.handover.changed.notify_one();
        }
    }
}

/// Does some work on a thread of its own, which has the priority of this one. None where it is not done in
/// time: it goes on then, and counts as overdue until it ends.
///
/// # Errors
/// Where no thread can be started.
pub(crate) fn within<T: Send + 'static>(
    time: Duration,
    overdue: &Overdue,
    work: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<Option<T>> {
    let state = Mutex::new(State::Working);
    let handover = Arc::new(Handover { state, changed: Condvar::new() });
    let end = End { handover: Arc::clone(&handover), overdue: overdue.clone(), done: None };
    std::thread::Builder::new().name("plugin call".to_owned()).spawn(move || {
        let mut end = end;
        end.done = Some(work());
    })?;
    let works = |state: &mut State<T>| matches!(state, State::Working);
    let waited = handover.changed.wait_timeout_while(handover.lock(), time, works);
    let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
    match std::mem::replace(&mut *state, State::Abandoned) {
        State::Done(done) => Ok(done),
        State::Working | State::Abandoned => {
            overdue.0.fetch_add(1, Ordering::AcqRel);
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::{Overdue, within};

    #[test]
    fn work_that_is_not_done_in_time_goes_on_and_is_counted_until_it_ends() {
        let overdue = Overdue::default();
        let (go, gate) = mpsc::channel::<()>();
        let work = move || gate.recv().is_ok();
        assert_eq!(within(Duration::ZERO, &overdue, work).unwrap(), None);
        assert!(overdue.any());
        go.send(()).unwrap();
        while overdue.any() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn work_that_panics_is_not_waited_for() {
        let overdue = Overdue::default();
        let work = || -> u8 { panic!("as planned") };
        assert_eq!(within(Duration::MAX, &overdue, work).unwrap(), None);
        assert!(!overdue.any());
    }

    #[test]
    fn work_that_is_done_in_time_is_answered() {
        let overdue = Overdue::default();
        assert_eq!(within(Duration::MAX, &overdue, || 7).unwrap(), Some(7));
        assert!(!overdue.any());
    }
}
