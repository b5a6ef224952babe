//! A commitment on its way to disk: from [`Ledger::begin`] to [`Ledger::finish`] or
//! [`Ledger::abandon`] nothing else changes the leases that it changes, so that what is written is what
//! counts afterwards, however long the disk takes.

use haggle_model::{Lease, LeaseId, Timestamp};

use super::{Commitment, Ledger, LedgerError};

impl Ledger {
    /// What [`Ledger::finish`] will change, to be made durable before. Until then these leases neither
    /// run out nor are released or replaced.
    ///
    /// # Errors
    /// As [`Ledger::prepare`]; the ledger is then as it was.
    pub fn begin(
        &mut self,
        commitment: &Commitment,
        now: Timestamp,
    ) -> Result<Vec<Lease>, LedgerError> {
        let changed = self.prepare(commitment, now)?;
        for lease in &changed {
            self.pin(&lease.id, Some(now));
        }
        for id in &commitment.confirm {
            self.pin(id, Some(now));
        }
        Ok(changed)
    }

    /// Carries out what was begun, and returns what has changed: what `begin` said would. The second
    /// time, or without a beginning, nothing changes.
    pub fn finish(&mut self, commitment: &Commitment) -> Vec<Lease> {
        match self.unpin(commitment) {
            // Nothing can have made it impossible in between.
            Some(begun) => self.confirm(commitment, begun).unwrap_or_default(),
            None => Vec::new(),
        }
    }

    /// Takes back what was begun: for when it did not become durable, and never will.
    pub fn abandon(&mut self, commitment: &Commitment) {
        self.unpin(commitment);
    }

    /// What a hold is to replace, as long as that runs.
    #[must_use]
    pub fn replacing(&self, id: &LeaseId) -> &[LeaseId] {
        self.entries.get(id).map_or(&[], |entry| &entry.replaces)
    }

    /// Whether a lease is on its way to disk.
    pub(super) fn is_pinned(&self, id: &LeaseId) -> bool {
        self.entries.get(id).is_some_and(|entry| entry.pinned.is_some())
    }

    fn unpin(&mut self, commitment: &Commitment) -> Option<Timestamp> {
        let Commitment { confirm, end, .. } = commitment;
        let replaced = confirm.iter().flat_map(|id| self.replacing(id));
        let ids: Vec<LeaseId> = confirm.iter().chain(replaced).chain(end).cloned().collect();
        let begun = ids.iter().find_map(|id| self.entries.get(id)?.pinned);
        ids.iter().for_each(|id| self.pin(id, None));
        begun
    }

    fn pin(&mut self, id: &LeaseId, since: Option<Timestamp>) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        self.due.remove(&(entry.due(), id.clone()));
        entry.pinned = since;
        self.due.insert((entry.due(), id.clone()));
    }
}
