//! A commitment on its way to disk: from [`Ledger::begin`] to [`Ledger::finish`] or
//! [`Ledger::abandon`] nothing else changes the leases that it changes, so that what is written is what
//! counts afterwards, however long the disk takes.

use std::sync::Arc;

use haggle_model::{Lease, LeaseId, Timestamp};

use super::{Commitment, Ledger, LedgerError, entries::reschedule};

/// A commitment on its way to disk.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "its leases are kept for it until it is finished or abandoned"]
pub struct Begun {
    changes: Vec<Lease>,
    confirm: Vec<LeaseId>,
}

impl Begun {
    /// The leases as they will be, to be made durable.
    #[must_use]
    pub fn changes(&self) -> &[Lease] {
        &self.changes
    }

    /// The leases that begin with it.
    pub fn confirmed(&self) -> impl Iterator<Item = &Lease> {
        self.changes.iter().filter(|lease| self.confirm.contains(&lease.id))
    }

    fn pinned(&self) -> impl Iterator<Item = &LeaseId> {
        self.changes.iter().map(|lease| &lease.id).chain(&self.confirm)
    }
}

impl Ledger {
    /// What [`Ledger::finish`] will change, to be made durable before. Until then these leases neither
    /// run out nor are released or replaced.
    ///
    /// # Errors
    /// As [`Ledger::prepare`]; the ledger is then as it was.
    pub fn begin(&mut self, commitment: &Commitment, now: Timestamp) -> Result<Begun, LedgerError> {
        let changes = self.prepare(commitment, now)?;
        let begun = Begun { changes, confirm: commitment.confirm.clone() };
        begun.pinned().for_each(|id| self.pin(id, Some(now)));
        Ok(begun)
    }

    /// Carries out what was begun, which nothing can have made impossible in between, and returns what has
    /// changed: what `begin` said would.
    pub fn finish(&mut self, begun: Begun) -> Vec<Lease> {
        begun.pinned().for_each(|id| self.pin(id, None));
        self.change(&begun.changes, &begun.confirm);
        begun.changes
    }

    /// Takes back what was begun: for when it did not become durable, and never will.
    pub fn abandon(&mut self, begun: &Begun) {
        begun.pinned().for_each(|id| self.pin(id, None));
    }

    /// What a hold is to replace, as long as that runs.
    #[must_use]
    pub fn replacing(&self, id: &LeaseId) -> &[LeaseId] {
        self.entries.get(id.0.as_str()).map_or(&[], |entry| &entry.replaces)
    }

    /// Whether any commitment is on its way to disk.
    #[must_use]
    pub fn is_committing(&self) -> bool {
        // What cannot run out is due last.
        let last = self.due.get_max().and_then(|(_, key)| self.entries.get(key));
        last.is_some_and(|entry| entry.pinned.is_some())
    }

    /// Whether a commitment that changes the lease is on its way to disk.
    pub(crate) fn is_pinned(&self, id: &LeaseId) -> bool {
        self.entries.get(id.0.as_str()).is_some_and(|entry| entry.pinned.is_some())
    }

    fn pin(&mut self, id: &LeaseId, since: Option<Timestamp>) {
        let Some(entry) = self.entries.get_mut(id.0.as_str()) else { return };
        let entry = Arc::make_mut(entry);
        let before = entry.due();
        entry.pinned = since;
        reschedule(&mut self.due, before, entry);
    }
}
