use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::StoreError;

/// Batches that build on each other. Once one of them fails, all later ones of the same chain fail with the
/// same error, even if the store can write again by then.
///
/// Without a chain, a batch that was submitted before its author heard of an earlier failure could become
/// durable although the batch that it builds on did not. After a failure, the author begins a new chain.
#[derive(Clone, Debug, Default)]
pub struct Chain(Arc<Mutex<Option<StoreError>>>);

impl Chain {
    /// Begins a chain.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes all later batches of the chain fail. The first error counts.
    pub fn fail(&self, error: StoreError) {
        self.lock().get_or_insert(error);
    }

    /// The error with which later batches fail; `None` as long as no batch has failed.
    #[must_use]
    pub fn error(&self) -> Option<StoreError> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<StoreError>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
