//! Renews leases and reclaims capacity for owners.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use haggle_model::{Lease, LeaseId, LeaseState, Owner, Quantities, Resource, Timestamp, Window};

use super::{Ledger, LedgerError};
use crate::steps;

impl Ledger {
    /// Extends a confirmed lease to a later end, if capacity allows, and returns it. The operation is
    /// idempotent.
    ///
    /// # Errors
    /// [`LedgerError`] if the lease is not confirmed, has ended or is being replaced, or if its owner has
    /// too little capacity after the current end. The lease is then unchanged.
    pub fn renew(
        &mut self,
        id: &LeaseId,
        end: Timestamp,
        now: Timestamp,
    ) -> Result<Lease, LedgerError> {
        let entry =
            self.entries.get(id.0.as_str()).ok_or_else(|| LedgerError::Unknown(id.clone()))?;
        let mut lease = entry.lease.clone();
        if lease.state != LeaseState::Confirmed || !lease.is_active(now) {
            return Err(LedgerError::Over { id: id.clone(), state: lease.state });
        }
        if entry.pinned.is_some() || entry.replaced_by.is_some() {
            return Err(LedgerError::Busy(id.clone()));
        }
        if end <= lease.window.end {
            return Ok(lease);
        }
        let more = Lease { window: Window { start: lease.window.end, end }, ..lease.clone() };
        self.check_room(&super::Hold::new(more))?;
        lease.window.end = end;
        self.update(&lease);
        Ok(lease)
    }

    /// Processes the announcement of the capacity that an owner has left from each of these times on, in
    /// ascending order. It replaces earlier announcements. From each time on, the excess ends: holds are
    /// released, and confirmed leases are cut short in the order of `first`, until the rest fits. Returns
    /// the changed leases, sorted by id; their holders have until then to negotiate for others. A lease in
    /// a commit stays; [`Ledger::cut_back`] ends it once it is durable. The caller sets the new capacity
    /// when an announced time has come.
    pub fn reclaim(
        &mut self,
        owner: &Owner,
        notices: &[(Timestamp, Quantities)],
        now: Timestamp,
        first: impl Fn(&Lease, &Lease) -> Ordering,
    ) -> Vec<Lease> {
        self.forget_reclaims(owner);
        let Some(account) = self.accounts.get_mut(owner) else { return Vec::new() };
        let account = Arc::make_mut(account);
        let Some(mut had) = account.capacity.clone() else { return Vec::new() };
        for (at, left) in notices {
            let window = Window { start: (*at).max(now), end: Timestamp::from_millis(u64::MAX) };
            for (resource, level) in &mut had {
                let less = *level - steps::down(*resource, left.get(*resource)).min(*level);
                if less > 0 {
                    account.calendars.entry(*resource).or_default().add(window, less);
                    account.reclaimed.push((*resource, window, less));
                    *level -= less;
                }
            }
        }
        let starts = notices.iter().map(|(at, _)| *at).collect();
        self.cut_from(owner, starts, now, first)
    }

    /// Ends the leases that exceed the announced capacity of an owner, as [`Ledger::reclaim`] does. It
    /// applies to leases that were in a commit when the reclaim was announced.
    pub fn cut_back(
        &mut self,
        owner: &Owner,
        now: Timestamp,
        first: impl Fn(&Lease, &Lease) -> Ordering,
    ) -> Vec<Lease> {
        let reclaimed = self.accounts.get(owner).map_or(&[][..], |account| &account.reclaimed);
        let starts = reclaimed.iter().map(|(_, window, _)| window.start).collect();
        self.cut_from(owner, starts, now, first)
    }

    /// From each of these times on, ends leases until the rest fits that runs before the next time.
    fn cut_from(
        &mut self,
        owner: &Owner,
        starts: BTreeSet<Timestamp>,
        now: Timestamp,
        first: impl Fn(&Lease, &Lease) -> Ordering,
    ) -> Vec<Lease> {
        let starts: BTreeSet<Timestamp> = starts.into_iter().map(|at| at.max(now)).collect();
        let ends = starts.iter().skip(1).copied().chain([Timestamp::from_millis(u64::MAX)]);
        let windows: Vec<Window> =
            starts.iter().zip(ends).map(|(start, end)| Window { start: *start, end }).collect();
        let mut changed: BTreeMap<LeaseId, Lease> = BTreeMap::new();
        for window in windows {
            let cut = self.cut(owner, window, now, &first);
            changed.extend(cut.into_iter().map(|lease| (lease.id.clone(), lease)));
        }
        changed.into_values().collect()
    }

    /// Ends leases from the beginning of the window on, until the rest fits.
    fn cut(
        &mut self,
        owner: &Owner,
        window: Window,
        now: Timestamp,
        first: impl Fn(&Lease, &Lease) -> Ordering,
    ) -> Vec<Lease> {
        let mut leases: Vec<Lease> = self
            .leases()
            .filter(|lease| lease.owner == *owner && lease.window.overlaps(&window))
            .filter(|lease| !self.is_pinned(&lease.id))
            .cloned()
            .collect();
        leases.sort_by(|a, b| {
            let held = |lease: &Lease| lease.state != LeaseState::Held;
            held(a).cmp(&held(b)).then_with(|| first(a, b)).then_with(|| a.id.cmp(&b.id))
        });
        let mut changed = Vec::new();
        for lease in leases {
            let Some(short) = self.short(owner, window) else { break };
            if lease.amounts.get(short) <= 0.0 {
                continue;
            }
            if let Some(ended) = self.ended(&lease.id, window.start, now) {
                self.update(&ended);
                changed.push(ended);
            }
        }
        changed
    }

    /// A resource that the owner has too little of within the window.
    fn short(&self, owner: &Owner, window: Window) -> Option<Resource> {
        let account = self.accounts.get(owner)?;
        let capacity = account.capacity.as_ref()?;
        let over = account.calendars.iter().find(|(resource, calendar)| {
            calendar.peak(window).0 > capacity.get(resource).copied().unwrap_or(0)
        });
        over.map(|(resource, _)| *resource)
    }

    /// Removes the announced reclaims, because a new capacity replaces them.
    pub(super) fn forget_reclaims(&mut self, owner: &Owner) {
        let Some(account) = self.accounts.get_mut(owner) else { return };
        if account.reclaimed.is_empty() {
            return;
        }
        let account = Arc::make_mut(account);
        for (resource, window, less) in std::mem::take(&mut account.reclaimed) {
            account.calendars.entry(resource).or_default().add(window, -less);
        }
        account.calendars.retain(|_, calendar| !calendar.is_flat());
    }
}
