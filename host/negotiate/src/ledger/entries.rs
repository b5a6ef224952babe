//! Inserts, updates and removes entries, and keeps the calendars consistent with them.

use std::sync::Arc;

use haggle_model::{Lease, LeaseId, LeaseState, Owner, Quantities, Resource, Timestamp, Window};
use imbl::OrdSet;

use super::{Account, Entry, Hold, Key, Ledger};
use crate::{
    calendar::{Calendar, above},
    steps,
};

impl Ledger {
    /// The bookings of a lease in the calendars, given the leases that it replaces.
    pub(super) fn bookings(
        &self,
        lease: &Lease,
        replaces: &[LeaseId],
    ) -> Vec<(Resource, Window, i128)> {
        match lease.state {
            LeaseState::Held => self.beyond(&lease.amounts, lease.window, replaces),
            LeaseState::Confirmed => self.beyond(&lease.amounts, lease.window, &[]),
            LeaseState::Released | LeaseState::Expired => Vec::new(),
        }
    }

    /// The bookings of amounts throughout a window, beyond the leases that they will replace.
    pub(super) fn beyond(
        &self,
        amounts: &Quantities,
        window: Window,
        replaces: &[LeaseId],
    ) -> Vec<(Resource, Window, i128)> {
        let old: Vec<&Lease> = replaces.iter().filter_map(|id| self.live(&id.0)).collect();
        let mut bookings = Vec::new();
        for (resource, amount) in amounts.iter() {
            let below: Vec<_> = old
                .iter()
                .map(|old| (old.window, steps::up(resource, old.amounts.get(resource))))
                .collect();
            let parts = above(window, steps::up(resource, amount), &below);
            bookings.extend(parts.into_iter().map(|(window, steps)| (resource, window, steps)));
        }
        bookings
    }

    pub(super) fn insert(&mut self, hold: &Hold) {
        let lease = &hold.lease;
        let asked: Vec<LeaseId> = hold.ending().cloned().collect();
        let replaces: Vec<LeaseId> =
            asked.iter().filter(|id| self.live(&id.0).is_some()).cloned().collect();
        for old in &replaces {
            if let Some(entry) = self.entries.get_mut(old.0.as_str()) {
                Arc::make_mut(entry).replaced_by = Some(lease.id.clone());
            }
        }
        let key = Key::from(lease.id.0.as_str());
        let mut entry = Entry {
            key: key.clone(),
            lease: lease.clone(),
            asked,
            replaces,
            replaced_by: None,
            booked: Vec::new(),
            pinned: None,
        };
        self.due.insert((entry.due(), key.clone()));
        let line = (lease.owner.clone(), key.clone());
        match self.lines.get_mut(&lease.holder) {
            Some(leases) => drop(leases.insert(line)),
            None => drop(self.lines.insert(lease.holder.clone(), OrdSet::unit(line))),
        }
        let bookings = self.bookings(lease, &entry.replaces);
        book(self.account(&lease.owner), &mut entry, bookings);
        self.entries.insert(key, Arc::new(entry));
    }

    /// Updates a known lease to its new state or window, and everything that depends on it.
    pub(super) fn update(&mut self, lease: &Lease) {
        let Some(entry) = self.entries.get_mut(lease.id.0.as_str()) else { return };
        let entry = Arc::make_mut(entry);
        let before = entry.due();
        let was_held = entry.lease.state == LeaseState::Held;
        entry.lease.clone_from(lease);
        reschedule(&mut self.due, before, entry);
        let over = !matches!(lease.state, LeaseState::Held | LeaseState::Confirmed);
        let key = entry.key.clone();
        let successor = entry.replaced_by.clone();
        let replaced = if was_held { entry.replaces.clone() } else { Vec::new() };
        for old in replaced {
            if let Some(entry) = self.entries.get_mut(old.0.as_str())
                && entry.replaced_by.as_ref() == Some(&lease.id)
            {
                Arc::make_mut(entry).replaced_by = None;
            }
        }
        self.rebook(&key);
        if let Some(successor) = successor {
            if over && let Some(entry) = self.entries.get_mut(successor.0.as_str()) {
                Arc::make_mut(entry).replaces.retain(|id| *id != lease.id);
            }
            self.rebook(&successor.0);
        }
        if over {
            self.unlist(lease, key);
            self.drop_idle_account(&lease.owner);
        }
    }

    /// Updates the calendars to the current bookings of the entry.
    fn rebook(&mut self, key: &str) {
        let Some(entry) = self.entries.get(key) else { return };
        let bookings = self.bookings(&entry.lease, &entry.replaces);
        if bookings == entry.booked {
            return;
        }
        let Some(entry) = self.entries.get_mut(key) else { return };
        let entry = Arc::make_mut(entry);
        let account = self.accounts.entry(entry.lease.owner.clone()).or_default();
        book(Arc::make_mut(account), entry, bookings);
    }

    /// The lease after it ends at `at`; `None` if that changes nothing.
    pub(super) fn ended(&self, id: &LeaseId, at: Timestamp, now: Timestamp) -> Option<Lease> {
        let lease = self.live(&id.0)?;
        if at >= lease.window.end {
            return None;
        }
        let mut lease = lease.clone();
        if at > now && at > lease.window.start && lease.state == LeaseState::Confirmed {
            lease.window.end = at;
        } else {
            lease.state = LeaseState::Released;
        }
        Some(lease)
    }

    /// The lease, if it is held or confirmed.
    pub(super) fn live(&self, key: &str) -> Option<&Lease> {
        self.entries
            .get(key)
            .map(|entry| &entry.lease)
            .filter(|lease| matches!(lease.state, LeaseState::Held | LeaseState::Confirmed))
    }

    /// Removes an entry and all references to it.
    pub(super) fn forget(&mut self, key: &str) {
        let Some(entry) = self.entries.get(key) else { return };
        let over = Lease { state: LeaseState::Released, ..entry.lease.clone() };
        self.update(&over);
        if let Some(entry) = self.entries.remove(key) {
            self.due.remove(&(entry.due(), entry.key.clone()));
        }
    }

    fn unlist(&mut self, lease: &Lease, key: Key) {
        let Some(leases) = self.lines.get_mut(&lease.holder) else { return };
        leases.remove(&(lease.owner.clone(), key));
        if leases.is_empty() {
            self.lines.remove(&lease.holder);
        }
    }

    /// The account of an owner. A new account has no capacity.
    pub(super) fn account(&mut self, owner: &Owner) -> &mut Account {
        Arc::make_mut(self.accounts.entry(owner.clone()).or_default())
    }

    pub(super) fn forget_before(&mut self, owner: &Owner, now: Timestamp) {
        if let Some(account) = self.accounts.get_mut(owner) {
            let account = Arc::make_mut(account);
            account.calendars.values_mut().for_each(|calendar| calendar.forget_before(now));
            account.calendars.retain(|_, calendar| !calendar.is_flat());
        }
    }

    /// Drops the account of a removed owner once its leases have ended.
    pub(super) fn drop_idle_account(&mut self, owner: &Owner) {
        if let Some(account) = self.accounts.get(owner)
            && account.capacity.is_none()
            && account.calendars.values().all(Calendar::is_flat)
        {
            self.accounts.remove(owner);
        }
    }
}

/// Replaces the bookings of the entry.
fn book(account: &mut Account, entry: &mut Entry, bookings: Vec<(Resource, Window, i128)>) {
    for (resource, window, steps) in &entry.booked {
        account.calendars.entry(*resource).or_default().add(*window, -steps);
    }
    for (resource, window, steps) in &bookings {
        account.calendars.entry(*resource).or_default().add(*window, *steps);
    }
    entry.booked = bookings;
}

/// Moves an entry from its previous due time to its current one.
pub(super) fn reschedule(due: &mut OrdSet<(Timestamp, Key)>, before: Timestamp, entry: &Entry) {
    let now = entry.due();
    if now != before {
        due.remove(&(before, entry.key.clone()));
        due.insert((now, entry.key.clone()));
    }
}

impl Entry {
    /// The time at which the lease expires or, once it has ended, at which no late message can refer to it.
    /// An entry in a commit is never due.
    pub(super) fn due(&self) -> Timestamp {
        match self.lease.state {
            _ if self.pinned.is_some() => Timestamp::from_millis(u64::MAX),
            LeaseState::Held => self.lease.held_until.min(self.lease.window.end),
            LeaseState::Confirmed => self.lease.window.end,
            LeaseState::Released | LeaseState::Expired => self.lease.held_until,
        }
    }
}
