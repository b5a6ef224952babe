use std::{
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{Batch, Chain, Commit, StoreError, batch::Operation, commit::Acknowledge};

/// The batches that wait for the writer, bounded by their total size.
pub(crate) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    emptied: Condvar,
    most_bytes: usize,
}

/// A batch with its acknowledgement; a lazy batch has none.
pub(crate) struct Submission {
    pub(crate) operations: Vec<Operation>,
    pub(crate) acknowledge: Option<Acknowledge>,
}

/// The writer's next task.
pub(crate) enum Work {
    Write(Vec<Submission>),
    /// No batch arrived within the time that lazy writes may wait.
    Idle,
    /// The store is closed, and everything is written.
    End,
}

#[derive(Default)]
struct State {
    waiting: Vec<Submission>,
    bytes: usize,
    closed: bool,
    /// The reason why batches are refused at present.
    refusing: Option<StoreError>,
}

impl Queue {
    pub(crate) fn new(most_bytes: usize) -> Self {
        Self {
            state: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            most_bytes,
        }
    }

    /// Queues a batch for the writer. Blocks while the queue is full.
    pub(crate) fn commit(&self, batch: Batch, chain: Option<Chain>) -> Commit {
        let (commit, acknowledge) = Commit::new(chain);
        if let Err((error, Some(acknowledge))) = self.push(batch, Some(acknowledge)) {
            acknowledge.send(Err(error));
        }
        commit
    }

    /// Queues a batch for which nobody waits.
    pub(crate) fn submit(&self, batch: Batch) -> Result<(), StoreError> {
        self.push(batch, None).map_err(|(error, _)| error)
    }

    /// Queues a batch, or returns its acknowledgement with the reason why not.
    fn push(
        &self,
        batch: Batch,
        acknowledge: Option<Acknowledge>,
    ) -> Result<(), (StoreError, Option<Acknowledge>)> {
        let mut state = self.lock();
        loop {
            if let Some(error) = acknowledge.as_ref().and_then(Acknowledge::failed_before) {
                return Err((error, acknowledge));
            }
            if let Some(error) = &state.refusing {
                return Err((error.clone(), acknowledge));
            }
            if state.closed {
                return Err((StoreError::Closed, acknowledge));
            }
            // A batch that exceeds the queue's limit passes alone.
            if state.bytes == 0 || state.bytes + batch.bytes <= self.most_bytes {
                break;
            }
            state = self.emptied.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.bytes += batch.bytes;
        state.waiting.push(Submission { operations: batch.operations, acknowledge });
        // The writer checks the queue after every group, so it sleeps only if the queue was empty.
        if state.waiting.len() == 1 {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Takes all waiting batches, in the order of submission.
    pub(crate) fn take(&self, patience: Option<Duration>) -> Work {
        let deadline = patience.map(|patience| Instant::now() + patience);
        let mut state = self.lock();
        while state.waiting.is_empty() {
            if state.closed {
                return Work::End;
            }
            state = match deadline
                .map(|deadline| deadline.saturating_duration_since(Instant::now()))
            {
                Some(Duration::ZERO) => return Work::Idle,
                Some(rest) => {
                    self.filled.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.filled.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        state.bytes = 0;
        self.emptied.notify_all();
        Work::Write(mem::take(&mut state.waiting))
    }

    /// Refuses further batches; waiting ones are still written.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
        self.emptied.notify_all();
    }

    /// Refuses the waiting and all further batches.
    pub(crate) fn refuse(&self, error: &StoreError) {
        let refused = {
            let mut state = self.lock();
            state.refusing = Some(error.clone());
            state.bytes = 0;
            mem::take(&mut state.waiting)
        };
        self.emptied.notify_all();
        for submission in refused {
            if let Some(acknowledge) = submission.acknowledge {
                acknowledge.send(Err(error.clone()));
            }
        }
    }

    /// Accepts batches again.
    pub(crate) fn accept(&self) {
        self.lock().refusing = None;
    }

    /// Returns the reason why batches are refused at present, if they are.
    pub(crate) fn refusing(&self) -> Option<StoreError> {
        self.lock().refusing.clone()
    }

    /// Waits for `pause`, or until the queue is closed; returns `false` if it is closed.
    pub(crate) fn pause(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        let mut state = self.lock();
        while !state.closed {
            let rest = until.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return true;
            }
            let waited = self.filled.wait_timeout(state, rest);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        false
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
