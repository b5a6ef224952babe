use std::{
    collections::{BTreeMap, VecDeque},
    hash::{BuildHasher, RandomState},
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use haggle_model::{Decision, Lease, LeaseState, Name};
use haggle_store::{
    Batch, CallRecord, Commit, Decisions, Kind, Leases, Negotiations, Receipt, Store, StoreError,
    StoreOptions,
};
use serde::Serialize;
use serde_json::Value;

use crate::{host::lock, state::StoredStanding};

pub(crate) mod committing;
pub(crate) mod models;
mod restore;

/// Where the host keeps what must outlive it. Without a directory it remembers the latest decisions and
/// negotiations only.
pub(crate) struct Persistence {
    store: Option<Store>,
    /// Calls that wait for the next commit.
    calls: Mutex<Vec<CallRecord>>,
    journal: bool,
    memory: Mutex<Memory>,
    numbers: AtomicU64,
}

#[derive(Debug, Default)]
struct Memory {
    decisions: VecDeque<Decision>,
    last: u64,
    /// As JSON, which few will ever ask for.
    negotiations: BTreeMap<String, Vec<u8>>,
}

/// How many negotiations are kept; older ones are forgotten.
const NEGOTIATIONS: u64 = 10_000;

/// How many of both are kept without a store.
const REMEMBERED: usize = 1000;

/// Where services stand, by name.
pub(crate) enum Standings {}

impl Kind for Standings {
    const TAG: u8 = 0x40;
    const NAME: &'static str = "standing";
    type Key = Name;
    type Value = StoredStanding;
}

/// What the host knows of itself, by what it is.
enum Identity {}

impl Kind for Identity {
    const TAG: u8 = 0x41;
    const NAME: &'static str = "identity";
    type Key = String;
    type Value = String;
}

impl Persistence {
    pub(crate) fn open(
        directory: Option<&Path>,
        options: &StoreOptions,
        journal: bool,
    ) -> Result<Self, StoreError> {
        let store = directory.map(|path| Store::open(path, options)).transpose()?;
        let journal = journal && store.is_some();
        Ok(Self {
            store,
            calls: Mutex::default(),
            journal,
            memory: Mutex::default(),
            numbers: AtomicU64::new(0),
        })
    }

    pub(crate) const fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// Whether calls are journalled.
    pub(crate) const fn journals(&self) -> bool {
        self.journal
    }

    /// Journals a call with the next commit. What a crash before that loses is the record of how
    /// something was decided, never the decision.
    pub(crate) fn journal(&self, call: CallRecord) {
        lock(&self.calls).push(call);
    }

    /// Writes and waits until it is durable.
    pub(crate) fn commit(&self, batch: Batch) -> Result<Receipt, StoreError> {
        match &self.store {
            Some(store) => store.commit_wait(batch),
            None => Ok(Receipt::default()),
        }
    }

    /// Writes without waiting for the disk, after everything before it.
    pub(crate) fn commit_lazy(&self, batch: Batch) -> Result<(), StoreError> {
        match &self.store {
            Some(store) if !batch.is_empty() => store.commit_lazy(batch),
            _ => Ok(()),
        }
    }

    /// Writes the waiting calls, without waiting for the disk.
    pub(crate) fn flush_journal(&self) -> Result<(), StoreError> {
        let calls = std::mem::take(&mut *lock(&self.calls));
        let mut batch = Batch::new();
        for call in &calls {
            batch.call(call, &[])?;
        }
        self.commit_lazy(batch)
    }

    /// Hands decisions to the store together with whatever else the batch holds. Their numbers come with
    /// the receipt; without a store they are numbered at once.
    pub(crate) fn decide(
        &self,
        mut batch: Batch,
        decisions: &mut [Decision],
    ) -> Result<Option<Commit>, StoreError> {
        for decision in decisions.iter() {
            batch.append::<Decisions>(decision)?;
        }
        if let Some(store) = &self.store {
            return Ok(Some(store.commit(batch)));
        }
        let mut memory = lock(&self.memory);
        for decision in decisions {
            memory.last += 1;
            decision.sequence = memory.last;
            memory.decisions.push_back(decision.clone());
        }
        while memory.decisions.len() > REMEMBERED {
            memory.decisions.pop_front();
        }
        Ok(None)
    }

    /// Adds the record of a negotiation to a batch, and forgets the oldest.
    pub(crate) fn keep_negotiation(
        &self,
        batch: &mut Batch,
        host: &str,
        id: &str,
        number: u64,
        record: &impl Serialize,
    ) -> Result<(), StoreError> {
        if self.store.is_some() {
            batch.put_as::<Negotiations>(&id.to_owned(), record)?;
            if let Some(old) = number.checked_sub(NEGOTIATIONS) {
                batch.delete::<Negotiations>(&negotiation_id(host, old))?;
            }
            return Ok(());
        }
        let mut memory = lock(&self.memory);
        let record = serde_json::to_vec(record).unwrap_or_default();
        memory.negotiations.insert(id.to_owned(), record);
        while memory.negotiations.len() > REMEMBERED {
            memory.negotiations.pop_first();
        }
        Ok(())
    }

    pub(crate) fn remembered(&self, id: &str) -> Option<Value> {
        let memory = lock(&self.memory);
        memory.negotiations.get(id).and_then(|record| serde_json::from_slice(record).ok())
    }

    pub(crate) fn decisions_after(&self, after: u64, limit: usize) -> Vec<Decision> {
        let memory = lock(&self.memory);
        let newer = memory.decisions.iter().filter(|decision| decision.sequence > after);
        newer.take(limit).cloned().collect()
    }

    /// The next number of a negotiation.
    pub(crate) fn next_negotiation(&self) -> Result<u64, StoreError> {
        match &self.store {
            Some(store) => store.allocate("negotiation"),
            None => Ok(self.numbers.fetch_add(1, Ordering::Relaxed) + 1),
        }
    }

    /// The id of this host: the one it has, the one it is given, or a new one.
    pub(crate) fn host_id(&self, given: Option<String>) -> Result<String, StoreError> {
        let key = "host".to_owned();
        let kept = match &self.store {
            Some(store) => store.get::<Identity>(&key)?,
            None => None,
        };
        if let Some(kept) = kept {
            return Ok(kept);
        }
        let id = given.unwrap_or_else(|| format!("{:08x}", RandomState::new().hash_one(0) >> 32));
        let mut batch = Batch::new();
        batch.put::<Identity>(&key, &id)?;
        self.commit(batch)?;
        Ok(id)
    }
}

/// Sorts by number.
pub(crate) fn negotiation_id(host: &str, number: u64) -> String {
    format!("{host}-{number:012}")
}

/// Writes leases as they are now; those that are over are not kept.
pub(crate) fn keep_leases(batch: &mut Batch, leases: &[Lease]) -> Result<(), StoreError> {
    for lease in leases {
        match lease.state {
            LeaseState::Held | LeaseState::Confirmed => batch.put::<Leases>(&lease.id, lease)?,
            LeaseState::Released | LeaseState::Expired => batch.delete::<Leases>(&lease.id)?,
        };
    }
    Ok(())
}
