use std::{
    io::ErrorKind,
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use super::{Engine, Pair, Pairs, Writes};
use crate::{Loss, StoreError};

/// Faults to inject into a store, for tests and simulation. A handle, cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    plan: Mutex<Plan>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Plan {
    /// The number of the next write that fails, with all after it; 1 is the next one.
    apply: Option<u64>,
    flush: Option<u64>,
    /// Whether the next flush fails.
    once: bool,
    /// Whether a failing flush nevertheless reaches the disk.
    landing: bool,
    /// Whether reopening fails too.
    shut: bool,
    held: bool,
    /// Number of flushes that are currently held.
    waiting: u64,
}

/// An engine with injected faults.
pub(crate) struct Failing<E> {
    engine: E,
    faults: Faults,
}

impl Faults {
    /// Creates a handle without faults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the `nth` write from now on fail (1 is the next), and all after it.
    pub fn fail_apply(&self, nth: u64) {
        self.plan().apply = Some(nth);
    }

    /// Makes the `nth` flush from now on fail (1 is the next), and all after it.
    pub fn fail_flush(&self, nth: u64) {
        self.plan().flush = Some(nth);
    }

    /// Makes only the next flush fail.
    pub fn fail_flush_once(&self) {
        self.plan().once = true;
    }

    /// Makes failing flushes reach the disk nevertheless, as if only their answer were lost.
    pub fn land_failed_flushes(&self) {
        self.plan().landing = true;
    }

    /// Makes every attempt to reopen the engine fail, until the faults end.
    pub fn fail_reopen(&self) {
        self.plan().shut = true;
    }

    /// Ends all faults, except that held flushes stay held.
    pub fn heal(&self) {
        let mut plan = self.plan();
        *plan = Plan { held: plan.held, waiting: plan.waiting, ..Plan::default() };
    }

    /// Blocks flushes, as on a disk that hangs, until [`Faults::release_flushes`].
    pub fn hold_flushes(&self) {
        self.plan().held = true;
    }

    /// Releases the held flushes.
    pub fn release_flushes(&self) {
        self.plan().held = false;
        self.0.changed.notify_all();
    }

    /// Blocks until a flush is held.
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
        if std::mem::take(&mut plan.once) {
            return Err(full("flush"));
        }
        due(&mut plan.flush, "flush")
    }
}

fn full(action: &'static str) -> StoreError {
    StoreError::io(action, Path::new("(injected)"), &ErrorKind::StorageFull.into())
}

/// Counts down, and fails when the count reaches 1.
fn due(left: &mut Option<u64>, action: &'static str) -> Result<(), StoreError> {
    match left {
        None => Ok(()),
        Some(0 | 1) => Err(full(action)),
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
        let flushed = self.faults.flush();
        if flushed.is_err() && self.faults.plan().landing {
            self.engine.flush()?;
        }
        flushed?;
        self.engine.flush()
    }

    fn reopen(&self) -> Result<(), StoreError> {
        if self.faults.plan().shut {
            return Err(full("open"));
        }
        self.engine.reopen()
    }

    fn check_room(&self) -> Result<(), StoreError> {
        let plan = self.faults.plan();
        let fails = |left: Option<u64>| left.is_some_and(|left| left <= 1);
        if fails(plan.apply) || fails(plan.flush) {
            return Err(full("write"));
        }
        drop(plan);
        self.engine.check_room()
    }

    fn acknowledge(&self, number: u64) -> Result<(), StoreError> {
        self.engine.acknowledge(number)
    }

    fn acknowledged(&self) -> Option<u64> {
        self.engine.acknowledged()
    }

    fn loss(&self) -> Option<Loss> {
        self.engine.loss()
    }

    fn size(&self) -> Result<u64, StoreError> {
        self.engine.size()
    }
}
