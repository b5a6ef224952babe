//! The simulated store: commits become durable in order after a delay, or fail.

use std::collections::{BTreeMap, VecDeque};

use haggle_control::{CommitId, Key, Record, Restored, State, Write};
use haggle_model::{Decision, Lease, LeaseId};

/// The durable records and the commits in progress.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    pub(crate) records: BTreeMap<Key, Record>,
    pub(crate) leases: BTreeMap<LeaseId, Lease>,
    pub(crate) log: Vec<Decision>,
    pub(crate) in_flight: VecDeque<Commit>,
    /// The durable state, once there is one.
    pub(crate) state: Option<State>,
    /// The failed commit, until the core is notified.
    pub(crate) refusing: Option<CommitId>,
}

/// A commit that is not yet acknowledged.
#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) id: CommitId,
    pub(crate) writes: Vec<Write>,
    /// The state that it makes durable.
    pub(crate) state: State,
    pub(crate) is_written: bool,
}

impl Disk {
    /// Writes the first unwritten commit and returns its id.
    ///
    /// # Errors
    /// A decision that does not follow its predecessor.
    pub(crate) fn write_next(&mut self) -> Result<Option<CommitId>, String> {
        let Some(next) = self.in_flight.iter_mut().find(|commit| !commit.is_written) else {
            return Ok(None);
        };
        next.is_written = true;
        let (id, writes) = (next.id, std::mem::take(&mut next.writes));
        self.state = Some(next.state.clone());
        for write in writes {
            match write {
                Write::Put(record) => {
                    if let Record::Lease(lease) = &record {
                        self.leases.insert(lease.id.clone(), lease.clone());
                    } else {
                        self.records.insert(record.key(), record);
                    }
                }
                Write::Delete(Key::Lease(id)) => {
                    self.leases.remove(&id);
                }
                Write::Delete(key) => {
                    self.records.remove(&key);
                }
                Write::Append(decision) => {
                    let next = self.log.len() as u64 + 1;
                    if decision.sequence != next {
                        let found = decision.sequence;
                        return Err(format!("decision {found} is written in place {next}"));
                    }
                    self.log.push(decision);
                }
            }
        }
        Ok(Some(id))
    }

    /// The newest commit that is written and not acknowledged.
    pub(crate) fn written(&self) -> Option<CommitId> {
        self.in_flight.iter().rev().find(|commit| commit.is_written).map(|commit| commit.id)
    }

    /// The records that a restart reads.
    pub(crate) fn restored(&self) -> Restored {
        let leases = self.leases.values().cloned().map(Record::Lease);
        let others = self.records.values();
        let others = others.filter(|record| !matches!(record, Record::Negotiation(_)));
        let records = leases.chain(others.cloned()).collect();
        let negotiations = self.records.keys().filter_map(|key| match key {
            Key::Negotiation(id) => Some(id.clone()),
            _ => None,
        });
        let negotiations = negotiations.collect();
        Restored { records, negotiations, decisions: self.log.len() as u64 }
    }

    pub(crate) fn request(&self, id: &str) -> Option<&haggle_control::Request> {
        match self.records.get(&Key::Request(id.to_owned())) {
            Some(Record::Request(request)) => Some(request),
            _ => None,
        }
    }
}
