use std::{
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use super::{Engine, Pair, Pairs, Writes};
use crate::StoreError;

/// Faults to be injected into a store, for tests and simulation; a handle, cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    plan: Mutex<Plan>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Plan {
    /// Which one from now on fails, and all after it; 1 is the next.
    apply: Option<u64>,
    flush: Option<u64>,
    held: bool,
    /// How many flushes wait because they are held.
    waiting: u64,
}

/// An engine that fails as planned.
pub(crate) struct Failing<E> {
    engine: E,
    faults: Faults,
}

impl Faults {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the `nth` write from now on fail (1 is the next) and all after it.
    pub fn fail_apply(&self, nth: u64) {
        self.plan().apply = Some(nth);
    }

    /// Lets the `nth` flush from now on fail (1 is the next) and all after it.
    pub fn fail_flush(&self, nth: u64) {
        self.plan().flush = Some(nth);
    }

    /// Lets flushes wait, as on a disk that hangs, until [`Faults::release_flushes`].
    pub fn hold_flushes(&self) {
        self.plan().held = true;
    }

    /// Lets flushes go on.
    pub fn release_flushes(&self) {
        self.plan().held = false;
        self.0.changed.notify_all();
    }

    /// Blocks until a flush waits because flushes are held.
    pub fn wait_for_held_flush(&self) {
        let mut plan = self.plan();
        while plan.waiting == 0 {
            plan = self.0.changed.wait(plan).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn flush(&self) -> Result<(), StoreError> {
        let mut plan = self.plan();
        plan.waiting += 1;
        self.0.changed.notify_all();
        while plan.held {
            plan = self.0.changed.wait(plan).unwrap_or_else(PoisonError::into_inner);
        }
        plan.waiting -= 1;
        due(&mut plan.flush, "flush")
    }
}

/// Counts down, and fails from 1 on.
fn due(left: &mut Option<u64>, action: &'static str) -> Result<(), StoreError> {
    match left {
        None => Ok(()),
        Some(0 | 1) => {
            let error = std::io::Error::other("no space left (injected)");
            Err(StoreError::io(action, Path::new("(injected)"), &error))
        }
        Some(left) => {
            *left -= 1;
            Ok(())
        }
    }
}

impl<E> Failing<E> {
    pub(crate) const fn new(engine: E, faults: Faults) -> Self {
        Self { engine, faults }
    }
}

impl<E: Engine> Engine for Failing<E> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.engine.get(key)
    }

    fn range(&self, from: Vec<u8>, to: Vec<u8>) -> Pairs<'_> {
        self.engine.range(from, to)
    }

    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Pair>, StoreError> {
        self.engine.last(from, to)
    }

    fn apply(&self, writes: Writes) -> Result<(), StoreError> {
        due(&mut self.faults.plan().apply, "write")?;
        self.engine.apply(writes)
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.faults.flush()?;
        self.engine.flush()
    }

    fn size(&self) -> Result<u64, StoreError> {
        self.engine.size()
    }
}
