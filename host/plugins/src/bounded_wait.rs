//! Runs work with a bounded wait.
//!
//! A guest in a loop that calls nothing is stopped only when it has counted as many instructions as a fast
//! processor could have executed until its deadline, which may take several times as long. The caller must
//! not wait for that: the work continues on its own thread, and its result is dropped.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Counts abandoned work that is still running.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overdue(Arc<AtomicUsize>);

/// The state shared by the waiting caller and the working thread.
struct Handover<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

enum State<T> {
    Working,
    /// `None` if the work panicked.
    Done(Option<T>),
    /// The caller no longer waits.
    Abandoned,
}

/// Signals the end of the work when dropped, also after a panic.
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

/// Runs work on its own thread, with the priority of this one. Returns `None` if it is not done in time; the
/// work then continues, and counts as overdue until it ends.
///
/// # Errors
/// When no thread can be started.
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
