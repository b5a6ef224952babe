use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use haggle_model::{
    Lease, LeaseId, LeaseState, Name, Owner, Quantities, Resource, Timestamp, Window,
};
use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::{calendar::Calendar, steps};

mod commit;
mod entries;
mod error;
mod reclaim;
mod views;

pub use commit::Begun;
pub use error::LedgerError;
pub(crate) use views::Keeping;
pub use views::Overcommitment;

/// Who has leased how much of whose capacity, when.
///
/// The invariant: held plus confirmed never exceeds capacity, for any owner, resource and moment. Where
/// a hold is to replace older leases, the larger of both counts while both exist. Only two things may
/// leave an owner overcommitted, and neither promises anything new: a capacity that is lowered below
/// what is promised, and a restart with such a capacity; [`Ledger::overcommitted`] reports both.
///
/// Every operation may be repeated: the second time changes nothing. Operations that change leases
/// return them as they now are, for whoever keeps them. What is over is remembered until its hold would
/// have run out, so that a message that arrives late cannot bring it back.
///
/// A clone shares everything with its original, and takes constant time; a change to either copies only
/// the few tree nodes on the way to what it changes. Two ledgers are equal if their whole bookkeeping is,
/// what is over and what is past included; [`Ledger::promises_the_same`] compares what counts from now on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledger {
    accounts: OrdMap<Owner, Arc<Account>>,
    entries: OrdMap<Key, Arc<Entry>>,
    /// The leases by holder and owner; those that are over are not in it.
    lines: OrdMap<Name, OrdSet<(Owner, Key)>>,
    /// When each entry ends or is forgotten.
    due: OrdSet<(Timestamp, Key)>,
}

/// The id of a lease, which costs no allocation to clone.
type Key = SmolStr;

/// A lease to be held, and the leases that end when it is confirmed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Hold {
    /// The new lease, in the state `held`.
    pub lease: Lease,
    /// Confirmed leases of the same holder on the same owner. They stay as they are until then.
    pub replaces: Vec<LeaseId>,
    /// Confirmed leases of other holders on the same owner that have to make way for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preempts: Vec<LeaseId>,
}

/// What a session asks for at its end, as a whole or not at all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Commitment {
    /// Holds to be confirmed. What they replace ends where they begin.
    pub confirm: Vec<LeaseId>,
    /// Further leases that end, and when: at once, where that is in the past.
    pub end: BTreeMap<LeaseId, Timestamp>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Account {
    /// In steps; none where the owner was removed and its leases are still running.
    capacity: Option<BTreeMap<Resource, i128>>,
    /// What is taken back: from when on, and how much of it. It stands in the calendars, too.
    reclaimed: Vec<(Resource, Window, i128)>,
    calendars: BTreeMap<Resource, Calendar>,
}

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    key: Key,
    lease: Lease,
    /// What it was said to replace when it was held.
    asked: Vec<LeaseId>,
    /// What of that still runs.
    replaces: Vec<LeaseId>,
    /// The hold that is to replace this one.
    replaced_by: Option<LeaseId>,
    /// What stands in the calendars because of it.
    booked: Vec<(Resource, Window, i128)>,
    /// Since when it is on its way to disk.
    pinned: Option<Timestamp>,
}

impl Hold {
    /// A lease to be held beside all others.
    #[must_use]
    pub const fn new(lease: Lease) -> Self {
        Self { lease, replaces: Vec::new(), preempts: Vec::new() }
    }

    /// Every lease that ends with it.
    pub fn ending(&self) -> impl Iterator<Item = &LeaseId> {
        self.replaces.iter().chain(&self.preempts)
    }
}

impl Ledger {
    /// A ledger without accounts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what an owner has, from now on. Confirmed leases stay, and holds that exceed what is left are
    /// released. Where the leases exceed it, that is reported, and nothing more is promised until enough of
    /// them have ended.
    pub fn set_capacity(&mut self, owner: &Owner, capacity: &Quantities) -> Vec<Overcommitment> {
        let steps = capacity.iter().map(|(r, amount)| (r, steps::down(r, amount))).collect();
        self.forget_reclaims(owner);
        self.account(owner).capacity = Some(steps);
        self.release_excess_holds(owner);
        self.overcommitted(owner)
    }

    /// Takes an owner out. Its confirmed leases run on until they end, and are reported as promised
    /// without capacity; holds are released.
    pub fn remove_owner(&mut self, owner: &Owner) -> Vec<Overcommitment> {
        self.forget_reclaims(owner);
        if let Some(account) = self.accounts.get_mut(owner) {
            Arc::make_mut(account).capacity = None;
        }
        self.release_excess_holds(owner);
        let overcommitted = self.overcommitted(owner);
        self.drop_idle_account(owner);
        overcommitted
    }

    /// Releases holds, the newest first, until the rest fits: nobody counts on them yet, and confirmed they would
    /// be promises without capacity.
    fn release_excess_holds(&mut self, owner: &Owner) {
        let held = self.leases().filter(|l| l.owner == *owner && l.state == LeaseState::Held);
        let mut held: Vec<LeaseId> = held.map(|lease| lease.id.clone()).collect();
        while !self.overcommitted(owner).is_empty()
            && let Some(last) = held.pop()
        {
            self.release(&[last]);
        }
    }

    /// Holds all of these or none, and returns those that were not held before.
    ///
    /// # Errors
    /// [`LedgerError`] for the first that cannot be held; the ledger is then as it was.
    pub fn hold(&mut self, holds: &[Hold], now: Timestamp) -> Result<Vec<Lease>, LedgerError> {
        let mut held = Vec::new();
        for hold in holds {
            match self.hold_one(hold, now) {
                Ok(true) => held.push(hold.lease.clone()),
                Ok(false) => {}
                Err(error) => {
                    for lease in &held {
                        self.forget(&lease.id.0);
                    }
                    return Err(error);
                }
            }
        }
        Ok(held)
    }

    /// What [`Ledger::confirm`] would change, so that it can be made durable before it counts.
    ///
    /// # Errors
    /// [`LedgerError`] if one of the holds is unknown or over, or another commitment that changes the
    /// same lease is on its way to disk.
    pub fn prepare(
        &self,
        commitment: &Commitment,
        now: Timestamp,
    ) -> Result<Vec<Lease>, LedgerError> {
        let mut changed = BTreeMap::new();
        for id in &commitment.confirm {
            let entry =
                self.entries.get(id.0.as_str()).ok_or_else(|| LedgerError::Unknown(id.clone()))?;
            let lease = &entry.lease;
            match lease.state {
                _ if entry.pinned.is_some() => return Err(LedgerError::Busy(id.clone())),
                LeaseState::Confirmed => continue,
                LeaseState::Held if lease.is_active(now) => {}
                state => return Err(LedgerError::Over { id: id.clone(), state }),
            }
            changed.insert(id, Lease { state: LeaseState::Confirmed, ..lease.clone() });
            for old in &entry.replaces {
                changed.extend(self.ended(old, lease.window.start, now).map(|lease| (old, lease)));
            }
        }
        for (id, at) in &commitment.end {
            changed.extend(self.ended(id, *at, now).map(|lease| (id, lease)));
        }
        if let Some(busy) = changed.keys().find(|id| self.is_pinned(id)) {
            return Err(LedgerError::Busy((*busy).clone()));
        }
        Ok(changed.into_values().collect())
    }

    /// Confirms all of the holds or none, ends what they replace and what else is to end, and returns
    /// every lease that changed.
    ///
    /// # Errors
    /// As [`Ledger::prepare`]; the ledger is then as it was.
    pub fn confirm(
        &mut self,
        commitment: &Commitment,
        now: Timestamp,
    ) -> Result<Vec<Lease>, LedgerError> {
        let changed = self.prepare(commitment, now)?;
        self.change(&changed, &commitment.confirm);
        Ok(changed)
    }

    /// What ends goes first, so that no moment counts both in full.
    fn change(&mut self, changed: &[Lease], confirm: &[LeaseId]) {
        let new: BTreeSet<&LeaseId> = confirm.iter().collect();
        let (confirmed, ended): (Vec<_>, Vec<_>) =
            changed.iter().partition(|lease| new.contains(&lease.id));
        ended.into_iter().chain(confirmed).for_each(|lease| self.update(lease));
    }

    /// Gives back what is held or confirmed of these, and returns it. What is on its way to disk stays.
    pub fn release(&mut self, ids: &[LeaseId]) -> Vec<Lease> {
        let mut released = Vec::new();
        for id in ids {
            let Some(lease) = self.live(&id.0).filter(|_| !self.is_pinned(id)) else { continue };
            let lease = Lease { state: LeaseState::Released, ..lease.clone() };
            self.update(&lease);
            released.push(lease);
        }
        released
    }

    /// Ends what is over at `now`, and returns it.
    pub fn expire(&mut self, now: Timestamp) -> Vec<Lease> {
        let mut expired = Vec::new();
        while let Some((at, key)) = self.due.get_min().cloned()
            && at <= now
        {
            match self.live(&key) {
                Some(lease) => {
                    let lease = Lease { state: LeaseState::Expired, ..lease.clone() };
                    self.update(&lease);
                    self.forget_before(&lease.owner, now);
                    expired.push(lease);
                }
                None => {
                    self.forget(&key);
                    self.due.remove(&(at, key));
                }
            }
        }
        expired
    }

    /// Follows a clock that went back to `now`: what was forgotten as past counts again, as far as its lease is
    /// still known.
    pub fn rewind(&mut self, now: Timestamp) {
        let mut calendars: BTreeMap<Owner, BTreeMap<Resource, Calendar>> = BTreeMap::new();
        let mut add = |owner: &Owner, (resource, window, steps): &(Resource, Window, i128)| {
            let all = calendars.entry(owner.clone()).or_default();
            all.entry(*resource).or_default().add(*window, *steps);
        };
        for entry in self.entries.values() {
            entry.booked.iter().for_each(|booked| add(&entry.lease.owner, booked));
        }
        for (owner, account) in &self.accounts {
            account.reclaimed.iter().for_each(|less| add(owner, less));
        }
        let owners: Vec<Owner> = self.accounts.keys().cloned().collect();
        for owner in owners {
            self.account(&owner).calendars = calendars.remove(&owner).unwrap_or_default();
            self.forget_before(&owner, now);
        }
    }

    /// Books the leases of an earlier run, whatever the capacities are now, and returns those that
    /// changed: a hold is released, since its session is gone, and what ended in between has expired.
    pub fn restore(
        &mut self,
        leases: impl IntoIterator<Item = Lease>,
        now: Timestamp,
    ) -> Vec<Lease> {
        let mut changed = Vec::new();
        for mut lease in leases {
            match lease.state {
                LeaseState::Confirmed if lease.is_active(now) => {
                    if !self.entries.contains_key(lease.id.0.as_str()) {
                        self.insert(&Hold::new(lease));
                    }
                    continue;
                }
                LeaseState::Confirmed => lease.state = LeaseState::Expired,
                LeaseState::Held => lease.state = LeaseState::Released,
                LeaseState::Released | LeaseState::Expired => continue,
            }
            changed.push(lease);
        }
        changed
    }

    /// Whether the hold is new.
    fn hold_one(&mut self, hold: &Hold, now: Timestamp) -> Result<bool, LedgerError> {
        let lease = &hold.lease;
        let id = || lease.id.clone();
        if let Some(known) = self.entries.get(lease.id.0.as_str()) {
            let state = known.lease.state;
            let same = Lease { state: lease.state, ..known.lease.clone() } == *lease
                && known.asked.iter().eq(hold.ending());
            return match state {
                _ if !same => Err(LedgerError::Different(id())),
                LeaseState::Held | LeaseState::Confirmed => Ok(false),
                LeaseState::Released | LeaseState::Expired => {
                    Err(LedgerError::Over { id: id(), state })
                }
            };
        }
        let window = lease.window;
        if lease.state != LeaseState::Held || !lease.is_active(now) || window.start >= window.end {
            return Err(LedgerError::TooLate(id()));
        }
        for old in &hold.replaces {
            self.check_replaced(old, lease, true)?;
        }
        for old in &hold.preempts {
            self.check_replaced(old, lease, false)?;
        }
        self.forget_before(&lease.owner, now);
        self.check_room(hold)?;
        self.insert(hold);
        Ok(true)
    }

    /// Leases that are over in the meantime may be named: they are worth nothing any more.
    fn check_replaced(&self, old: &LeaseId, new: &Lease, own: bool) -> Result<(), LedgerError> {
        let Some(entry) = self.entries.get(old.0.as_str()) else { return Ok(()) };
        let wrong =
            |rule| Err(LedgerError::CannotReplace { new: new.id.clone(), old: old.clone(), rule });
        if entry.lease.owner != new.owner || (own && entry.lease.holder != new.holder) {
            return wrong("it is of another owner or holder");
        }
        match (entry.lease.state, &entry.replaced_by) {
            (LeaseState::Held, _) => wrong("it is not confirmed yet"),
            (LeaseState::Confirmed, Some(_)) => wrong("another negotiation is replacing it"),
            _ if entry.pinned.is_some() => wrong("another negotiation is ending it"),
            _ => Ok(()),
        }
    }

    fn check_room(&self, hold: &Hold) -> Result<(), LedgerError> {
        let owner = &hold.lease.owner;
        let unknown = || LedgerError::UnknownOwner(owner.clone());
        let account = self.accounts.get(owner).ok_or_else(unknown)?;
        let capacity = account.capacity.as_ref().ok_or_else(unknown)?;
        let ending: Vec<LeaseId> = hold.ending().cloned().collect();
        for (resource, window, steps) in self.bookings(&hold.lease, &ending) {
            let (peak, at) =
                account.calendars.get(&resource).map_or((0, window.start), |c| c.peak(window));
            let capacity = capacity.get(&resource).copied().unwrap_or(0);
            if peak + steps > capacity {
                return Err(LedgerError::Exceeds {
                    id: hold.lease.id.clone(),
                    owner: owner.clone(),
                    resource,
                    at,
                    more: steps::amount(resource, steps),
                    free: steps::amount(resource, (capacity - peak).max(0)),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
