use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use crate::StoreError;

/// What became of a committed batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The sequence numbers that its appended records and calls were given, in their order.
    pub sequences: Vec<u64>,
}

/// The acknowledgement of a batch: a future, something to wait for on a thread, or to be called by. It is ready once the
/// batch is durable, or once it is known that it will not be. Dropping it does not take the batch back.
#[must_use = "the batch is durable only once this says so"]
#[derive(Debug)]
pub struct Commit(Arc<Slot>);

/// The other end of a [`Commit`]. Dropped without an answer it answers that the store is closed, so
/// that nobody waits for ever.
#[derive(Debug)]
pub(crate) struct Acknowledge(Arc<Slot>);

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

/// Whom to call with the result.
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
    /// Why it is not, and never will be: nothing of it was kept. After a failed write that takes as long as the
    /// store needs to see what has reached the disk. Only where it is closed before that, with
    /// [`StoreError::Closed`], does the next opening tell.
    pub fn wait(self) -> Result<Receipt, StoreError> {
        let mut state = self.0.lock();
        loop {
            if let Some(result) = state.result.take() {
                return result;
            }
            state = self.0.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Calls `tell` once the batch is durable or is known never to be: on the store's own thread, which waits
    /// for it meanwhile, or right away where that is known already. It must neither block nor panic.
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

    pub(crate) fn new() -> (Self, Acknowledge) {
        let slot = Arc::new(Slot::default());
        (Self(Arc::clone(&slot)), Acknowledge(slot))
    }

    pub(crate) fn failed(error: StoreError) -> Self {
        let (commit, acknowledge) = Self::new();
        acknowledge.send(Err(error));
        commit
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
        self.0.fill(result);
    }
}

impl Drop for Acknowledge {
    fn drop(&mut self) {
        self.0.fill(Err(StoreError::Closed));
    }
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first answer stands. (The one that dropping adds after it has been fetched reaches nobody.)
    fn fill(&self, result: Result<Receipt, StoreError>) {
        let mut state = self.lock();
        if let Some(Tell(tell)) = state.tell.take() {
            // `Acknowledge` fills once more when it is dropped: there is nobody left to hear that.
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
