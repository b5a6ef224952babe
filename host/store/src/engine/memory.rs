use std::{
    collections::BTreeMap,
    fmt,
    ops::Bound,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{Engine, Pair, Pairs, Writes};
use crate::{Digest, StoreError};

/// The storage of a store in memory; a handle, cheap to clone. It outlives the store, and a new store can be
/// opened on it: unflushed writes are lost then, as on a disk after a power failure.
#[derive(Clone, Default)]
pub struct Memory(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    artefacts: Mutex<BTreeMap<Digest, Vec<u8>>>,
    in_use: AtomicBool,
}

#[derive(Default)]
struct State {
    pairs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The total size of all keys and values, in bytes.
    bytes: u64,
    /// The previous values of the unflushed writes, in order.
    undo: Writes,
    acknowledged: Option<u64>,
}

/// A store's exclusive access to its memory.
pub(crate) struct MemoryEngine(Memory);

impl Memory {
    /// Creates an empty memory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn artefacts(&self) -> MutexGuard<'_, BTreeMap<Digest, Vec<u8>>> {
        self.0.artefacts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("bytes", &self.state().bytes).finish_non_exhaustive()
    }
}

impl MemoryEngine {
    pub(crate) fn open(memory: &Memory) -> Result<Self, StoreError> {
        if memory.0.in_use.swap(true, Ordering::SeqCst) {
            return Err(StoreError::InUse(PathBuf::from("(memory)")));
        }
        memory.state().crash();
        Ok(Self(memory.clone()))
    }
}

impl Drop for MemoryEngine {
    fn drop(&mut self) {
        self.0.0.in_use.store(false, Ordering::SeqCst);
    }
}

impl State {
    /// Reverts the unflushed writes.
    fn crash(&mut self) {
        while let Some((key, value)) = self.undo.pop() {
            self.write(key, value);
        }
    }

    fn write(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) -> Option<Vec<u8>> {
        let size = |value: &Vec<u8>| (key.len() + value.len()) as u64;
        let (added, old) = match value {
            Some(value) => (size(&value), self.pairs.insert(key.clone(), value)),
            None => (0, self.pairs.remove(&key)),
        };
        self.bytes = self.bytes + added - old.as_ref().map_or(0, size);
        old
    }
}

impl Engine for MemoryEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.state().pairs.get(key).cloned())
    }

    fn range(&self, from: Vec<u8>, to: Vec<u8>) -> Pairs<'_> {
        let mut from = Bound::Included(from);
        Box::new(std::iter::from_fn(move || {
            if matches!(&from, Bound::Included(from) | Bound::Excluded(from) if *from >= to) {
                return None;
            }
            let bounds = (from.as_ref().map(Vec::as_slice), Bound::Excluded(to.as_slice()));
            let state = self.0.state();
            let (key, value) = state.pairs.range::<[u8], _>(bounds).next()?;
            let pair = (key.clone(), value.clone());
            drop(state);
            from = Bound::Excluded(pair.0.clone());
            Some(Ok(pair))
        }))
    }

    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Pair>, StoreError> {
        if from > to {
            return Ok(None);
        }
        let bounds = (Bound::Included(from), Bound::Included(to));
        let state = self.0.state();
        let last = state.pairs.range::<[u8], _>(bounds).next_back();
        Ok(last.map(|(key, value)| (key.clone(), value.clone())))
    }

    fn apply(&self, writes: Writes) -> Result<(), StoreError> {
        let mut state = self.0.state();
        for (key, value) in writes {
            let old = state.write(key.clone(), value);
            state.undo.push((key, old));
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.0.state().undo.clear();
        Ok(())
    }

    fn reopen(&self) -> Result<(), StoreError> {
        self.0.state().crash();
        Ok(())
    }

    fn check_room(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn acknowledge(&self, number: u64) -> Result<(), StoreError> {
        self.0.state().acknowledged = Some(number);
        Ok(())
    }

    fn acknowledged(&self) -> Option<u64> {
        self.0.state().acknowledged
    }

    fn size(&self) -> Result<u64, StoreError> {
        Ok(self.0.state().bytes)
    }
}
