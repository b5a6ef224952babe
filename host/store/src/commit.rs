use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use crate::{Chain, StoreError};

/// The result of a committed batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The sequence numbers of its appended records and calls, in order.
    pub sequences: Vec<u64>,
}

/// The acknowledgement of a batch: a future that can also be waited for on a thread or call a function. It
/// completes once the batch is durable, or certain to have failed. Dropping it does not cancel the batch.
#[must_use = "the batch is durable only once this says so"]
#[derive(Debug)]
pub struct Commit(Arc<Slot>);

/// The other end of a [`Commit`]. Dropping it without an answer reports that the store is closed, so that no
/// caller waits forever.
#[derive(Debug)]
pub(crate) struct Acknowledge {
    slot: Arc<Slot>,
    /// Fails with this batch.
    chain: Option<Chain>,
}

#[derive(Debug, Default)]
struct Slot {
    state: Mutex<State>,
    ready: Condvar,
}

#[derive(Debug, Default)]
struct State {
    result: Option<Result<Receipt, StoreError>>,
    waker: Option<Waker>,
    tell: Option<Tell>,
}

/// The function to call with the result.
struct Tell(Box<dyn FnOnce(Result<Receipt, StoreError>) + Send>);

impl fmt::Debug for Tell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tell")
    }
}

impl Commit {
    /// Blocks until the batch is durable.
    ///
    /// # Errors
    /// The reason why the batch failed for good: no part of it was kept. After a failed write this waits
    /// until the store knows what has reached the disk. If the store closes before that, the error is
    /// [`StoreError::Closed`], and only the next opening shows the outcome.
    pub fn wait(self) -> Result<Receipt, StoreError> {
        let mut state = self.0.lock();
        loop {
            if let Some(result) = state.result.take() {
                return result;
            }
            state = self.0.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Calls `tell` once the outcome of the batch is known: on the store's own thread, which waits for it, or
    /// at once if the outcome is known already. `tell` must neither block nor panic.
    pub fn then(self, tell: impl FnOnce(Result<Receipt, StoreError>) + Send + 'static) {
        let mut state = self.0.lock();
        match state.result.take() {
            Some(result) => {
                drop(state);
                tell(result);
            }
            None => state.tell = Some(Tell(Box::new(tell))),
        }
    }

    pub(crate) fn new(chain: Option<Chain>) -> (Self, Acknowledge) {
        let slot = Arc::new(Slot::default());
        (Self(Arc::clone(&slot)), Acknowledge { slot, chain })
    }
}

impl Future for Commit {
    type Output = Result<Receipt, StoreError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.lock();
        match state.result.take() {
            Some(result) => Poll::Ready(result),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Acknowledge {
    pub(crate) fn send(self, result: Result<Receipt, StoreError>) {
        if let (Err(error), Some(chain)) = (&result, &self.chain) {
            chain.fail(error.clone());
        }
        self.slot.fill(result);
    }

    /// The error with which an earlier batch of the chain has failed.
    pub(crate) fn failed_before(&self) -> Option<StoreError> {
        self.chain.as_ref().and_then(Chain::error)
    }
}

impl Drop for Acknowledge {
    fn drop(&mut self) {
        self.slot.fill(Err(StoreError::Closed));
    }
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the first answer. (An answer that dropping adds after it has been fetched is discarded.)
    fn fill(&self, result: Result<Receipt, StoreError>) {
        let mut state = self.lock();
        if let Some(Tell(tell)) = state.tell.take() {
            // `Acknowledge` fills again when dropped; no caller is left then.
            drop(state);
            tell(result);
        } else if state.result.is_none() {
            state.result = Some(result);
            self.ready.notify_all();
            if let Some(waker) = state.waker.take() {
                drop(state);
                waker.wake();
            }
        }
    }
}
