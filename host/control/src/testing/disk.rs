//! A store that keeps its records in memory.

use std::collections::BTreeMap;

use haggle_model::Decision;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Key, Record, Restored, Write};

/// The durable records.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    pub(crate) records: BTreeMap<Key, Record>,
    pub(crate) decisions: Vec<Decision>,
    /// The number of writes.
    pub(crate) writes: usize,
}

impl Disk {
    pub(crate) fn write(&mut self, writes: Vec<Write>) {
        self.writes += writes.len();
        for write in writes {
            match write {
                Write::Put(record) => drop(self.records.insert(record.key(), as_read(record))),
                Write::Delete(key) => drop(self.records.remove(&key)),
                Write::Append(decision) => {
                    assert_eq!(decision.sequence, self.decisions.len() as u64 + 1);
                    self.decisions.push(decision);
                }
            }
        }
    }

    /// The records that a restart reads, without those that the core does not read.
    pub(crate) fn read(&self) -> Restored {
        let mut restored = Restored::default();
        for (key, record) in &self.records {
            match key {
                Key::Negotiation(id) => restored.negotiations.push(id.clone()),
                _ => restored.records.push(record.clone()),
            }
        }
        restored.decisions = self.decisions.len() as u64;
        restored
    }

    pub(crate) fn count(&self, of: impl Fn(&Key) -> bool) -> usize {
        self.records.keys().filter(|key| of(key)).count()
    }
}

/// The record after it was written and read again.
fn as_read(record: Record) -> Record {
    match record {
        Record::State(name, state) => Record::State(name, read(&state)),
        Record::Request(request) => Record::Request(std::sync::Arc::new(read(request.as_ref()))),
        Record::Session(session) => Record::Session(read(&session)),
        Record::Lease(lease) => Record::Lease(read(&lease)),
        Record::Reclaim(provider, unit, all) => Record::Reclaim(provider, unit, read(&all)),
        Record::Negotiation(record) => Record::Negotiation(read(&record)),
        other => other,
    }
}

fn read<T: Serialize + DeserializeOwned>(value: &T) -> T {
    serde_json::from_slice(&serde_json::to_vec(value).unwrap()).unwrap()
}
