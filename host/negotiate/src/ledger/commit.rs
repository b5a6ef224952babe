//! Commits in progress. Between [`Ledger::begin`] and [`Ledger::finish`] or [`Ledger::abandon`], nothing
//! else changes the leases of the commitment. The written state is therefore the state that counts
//! afterwards, however long the disk takes.

use std::sync::Arc;

use haggle_model::{Lease, LeaseId, Timestamp};

use super::{Commitment, Ledger, LedgerError, entries::reschedule};

/// A commit in progress.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "its leases are kept for it until it is finished or abandoned"]
pub struct Begun {
    changes: Vec<Lease>,
    confirm: Vec<LeaseId>,
}

impl Begun {
    /// The leases in their new state, to be made durable.
    #[must_use]
    pub fn changes(&self) -> &[Lease] {
        &self.changes
    }

    /// The leases that the commitment confirms.
    pub fn confirmed(&self) -> impl Iterator<Item = &Lease> {
        self.changes.iter().filter(|lease| self.confirm.contains(&lease.id))
    }

    fn pinned(&self) -> impl Iterator<Item = &LeaseId> {
        self.changes.iter().map(|lease| &lease.id).chain(&self.confirm)
    }
}

impl Ledger {
    /// Starts a commit. Returns the changes that [`Ledger::finish`] will make, so that the caller can make
    /// them durable first. Until then these leases do not expire and cannot be released or replaced.
    ///
    /// # Errors
    /// As [`Ledger::prepare`]; the ledger is then unchanged.
    pub fn begin(&mut self, commitment: &Commitment, now: Timestamp) -> Result<Begun, LedgerError> {
        let changes = self.prepare(commitment, now)?;
        let begun = Begun { changes, confirm: commitment.confirm.clone() };
        begun.pinned().for_each(|id| self.pin(id, Some(now)));
        Ok(begun)
    }

    /// Carries out a commit. Nothing can have made it impossible in between. Returns the changes, which
    /// equal those that `begin` announced.
    pub fn finish(&mut self, begun: Begun) -> Vec<Lease> {
        begun.pinned().for_each(|id| self.pin(id, None));
        self.change(&begun.changes, &begun.confirm);
        begun.changes
    }

    /// Abandons a commit that did not become durable and never will.
    pub fn abandon(&mut self, begun: &Begun) {
        begun.pinned().for_each(|id| self.pin(id, None));
    }

    /// The leases that a hold will replace, as long as they run.
    #[must_use]
    pub fn replacing(&self, id: &LeaseId) -> &[LeaseId] {
        self.entries.get(id.0.as_str()).map_or(&[], |entry| &entry.replaces)
    }

    /// Whether any commit is in progress.
    #[must_use]
    pub fn is_committing(&self) -> bool {
        // A lease in a commit cannot expire, so it is due last.
        let last = self.due.get_max().and_then(|(_, key)| self.entries.get(key));
        last.is_some_and(|entry| entry.pinned.is_some())
    }

    /// Whether a commit in progress changes the lease.
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
