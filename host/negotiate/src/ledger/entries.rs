//! How entries come, change and go, and the calendars with them.

use haggle_model::{Lease, LeaseId, LeaseState, Owner, Resource, Timestamp, Window};

use super::{Entry, Hold, Ledger};
use crate::{
    calendar::{Calendar, above},
    steps,
};

impl Ledger {
    /// What a lease adds to the calendars, given what it replaces.
    pub(super) fn bookings(
        &self,
        lease: &Lease,
        replaces: &[LeaseId],
    ) -> Vec<(Resource, Window, i128)> {
        let old: Vec<&Lease> = match lease.state {
            LeaseState::Held => replaces.iter().filter_map(|id| self.live(id)).collect(),
            LeaseState::Confirmed => Vec::new(),
            LeaseState::Released | LeaseState::Expired => return Vec::new(),
        };
        let mut bookings = Vec::new();
        for (resource, amount) in lease.amounts.iter() {
            let below: Vec<_> = old
                .iter()
                .map(|old| (old.window, steps::up(resource, old.amounts.get(resource))))
                .collect();
            let parts = above(lease.window, steps::up(resource, amount), &below);
            bookings.extend(parts.into_iter().map(|(window, steps)| (resource, window, steps)));
        }
        bookings
    }

    pub(super) fn insert(&mut self, hold: &Hold) {
        let lease = &hold.lease;
        let asked: Vec<LeaseId> = hold.ending().cloned().collect();
        let replaces: Vec<LeaseId> =
            asked.iter().filter(|id| self.live(id).is_some()).cloned().collect();
        for old in &replaces {
            if let Some(entry) = self.entries.get_mut(old) {
                entry.replaced_by = Some(lease.id.clone());
            }
        }
        let entry = Entry {
            lease: lease.clone(),
            asked: asked.clone(),
            replaces,
            replaced_by: None,
            booked: Vec::new(),
            pinned: None,
        };
        self.due.insert((entry.due(), lease.id.clone()));
        self.entries.insert(lease.id.clone(), entry);
        let owners = self.lines.entry(lease.holder.clone()).or_default();
        owners.entry(lease.owner.clone()).or_default().insert(lease.id.clone());
        self.rebook(&lease.id);
    }

    /// Brings a known lease to its new state or window, and everything that depends on it along.
    pub(super) fn update(&mut self, lease: &Lease) {
        let Some(entry) = self.entries.get_mut(&lease.id) else { return };
        self.due.remove(&(entry.due(), lease.id.clone()));
        let was_held = entry.lease.state == LeaseState::Held;
        entry.lease = lease.clone();
        self.due.insert((entry.due(), lease.id.clone()));
        let over = !matches!(lease.state, LeaseState::Held | LeaseState::Confirmed);
        let successor = entry.replaced_by.clone();
        let replaced = if was_held { entry.replaces.clone() } else { Vec::new() };
        for old in replaced {
            if let Some(entry) = self.entries.get_mut(&old)
                && entry.replaced_by.as_ref() == Some(&lease.id)
            {
                entry.replaced_by = None;
            }
        }
        self.rebook(&lease.id);
        if let Some(successor) = successor {
            if over && let Some(entry) = self.entries.get_mut(&successor) {
                entry.replaces.retain(|id| *id != lease.id);
            }
            self.rebook(&successor);
        }
        if over {
            self.unlist(lease);
            self.drop_idle_account(&lease.owner);
        }
    }

    pub(super) fn rebook(&mut self, id: &LeaseId) {
        let Some(entry) = self.entries.get(id) else { return };
        let bookings = self.bookings(&entry.lease, &entry.replaces);
        let Some(entry) = self.entries.get_mut(id) else { return };
        let account = self.accounts.entry(entry.lease.owner.clone()).or_default();
        for (resource, window, steps) in std::mem::replace(&mut entry.booked, bookings.clone()) {
            account.calendars.entry(resource).or_default().add(window, -steps);
        }
        for (resource, window, steps) in bookings {
            account.calendars.entry(resource).or_default().add(window, steps);
        }
    }

    /// The lease as it is after it ended at `at`, where that changes it.
    pub(super) fn ended(
        &self,
        id: &LeaseId,
        at: Timestamp,
        now: Timestamp,
    ) -> Option<(&LeaseId, Lease)> {
        let lease = self.live(id)?;
        if at >= lease.window.end {
            return None;
        }
        let mut lease = lease.clone();
        if at > now && at > lease.window.start && lease.state == LeaseState::Confirmed {
            lease.window.end = at;
        } else {
            lease.state = LeaseState::Released;
        }
        Some((self.entries.get_key_value(id)?.0, lease))
    }

    /// The lease, if it is held or confirmed.
    pub(super) fn live(&self, id: &LeaseId) -> Option<&Lease> {
        self.entries
            .get(id)
            .map(|entry| &entry.lease)
            .filter(|lease| matches!(lease.state, LeaseState::Held | LeaseState::Confirmed))
    }

    /// Takes an entry out with all its traces.
    pub(super) fn forget(&mut self, id: &LeaseId) {
        let Some(entry) = self.entries.get(id) else { return };
        let over = Lease { state: LeaseState::Released, ..entry.lease.clone() };
        self.update(&over);
        if let Some(entry) = self.entries.remove(id) {
            self.due.remove(&(entry.due(), id.clone()));
        }
    }

    pub(super) fn unlist(&mut self, lease: &Lease) {
        let Some(owners) = self.lines.get_mut(&lease.holder) else { return };
        if let Some(ids) = owners.get_mut(&lease.owner) {
            ids.remove(&lease.id);
            if ids.is_empty() {
                owners.remove(&lease.owner);
            }
        }
        if owners.is_empty() {
            self.lines.remove(&lease.holder);
        }
    }

    pub(super) fn forget_before(&mut self, owner: &Owner, now: Timestamp) {
        if let Some(account) = self.accounts.get_mut(owner) {
            account.calendars.values_mut().for_each(|calendar| calendar.forget_before(now));
            account.calendars.retain(|_, calendar| !calendar.is_flat());
        }
    }

    /// An owner that was removed stays only as long as its leases.
    pub(super) fn drop_idle_account(&mut self, owner: &Owner) {
        if let Some(account) = self.accounts.get(owner)
            && account.capacity.is_none()
            && account.calendars.values().all(Calendar::is_flat)
        {
            self.accounts.remove(owner);
        }
    }
}

impl Entry {
    /// When it ends by itself, or, once it is over, when nobody can mean it any more; never while it is on
    /// its way to disk.
    pub(super) fn due(&self) -> Timestamp {
        match self.lease.state {
            _ if self.pinned.is_some() => Timestamp::from_millis(u64::MAX),
            LeaseState::Held => self.lease.held_until.min(self.lease.window.end),
            LeaseState::Confirmed => self.lease.window.end,
            LeaseState::Released | LeaseState::Expired => self.lease.held_until,
        }
    }
}
