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

/// Records who has leased how much of whose capacity, and when.
///
/// Invariant: held plus confirmed amounts never exceed capacity, for any owner, resource and moment. If a
/// hold is to replace older leases, the larger of the two counts while both exist. An owner can become
/// overcommitted in only two ways, and neither promises anything new: its capacity is lowered below the
/// promised amount, or the process restarts with such a capacity. [`Ledger::overcommitted`] reports both.
///
/// Every operation is idempotent. Operations that change leases return the changed leases, so that the
/// caller can persist them. The ledger remembers an ended lease until its hold would have run out, so that
/// a late message cannot revive it.
///
/// A clone takes constant time and shares all structure with its original. A change to either copies only
/// the few tree nodes on the path to the changed entry. Two ledgers are equal if all their entries are
/// equal, including ended leases and past bookings. [`Ledger::promises_the_same`] compares only the entries
/// that count from now on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledger {
    accounts: OrdMap<Owner, Arc<Account>>,
    entries: OrdMap<Key, Arc<Entry>>,
    /// The leases by holder and owner, without those that have ended.
    lines: OrdMap<Name, OrdSet<(Owner, Key)>>,
    /// The time at which each entry ends or is forgotten.
    due: OrdSet<(Timestamp, Key)>,
}

/// The id of a lease; cloning it does not allocate.
type Key = SmolStr;

/// A lease to hold, and the leases that end when it is confirmed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Hold {
    /// The new lease, in the state `held`.
    pub lease: Lease,
    /// Confirmed leases of the same holder on the same owner. They stay unchanged until the confirmation.
    pub replaces: Vec<LeaseId>,
    /// Confirmed leases of other holders on the same owner that this lease displaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preempts: Vec<LeaseId>,
}

/// The final changes of a session. The ledger applies all of them or none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Commitment {
    /// The holds to confirm. The leases that they replace end where the holds begin.
    pub confirm: Vec<LeaseId>,
    /// Further leases to end, and the time; a time in the past means at once.
    pub end: BTreeMap<LeaseId, Timestamp>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Account {
    /// In steps; `None` if the owner was removed while its leases still run.
    capacity: Option<BTreeMap<Resource, i128>>,
    /// The reclaimed amounts, each with its resource and window. The calendars contain them too.
    reclaimed: Vec<(Resource, Window, i128)>,
    calendars: BTreeMap<Resource, Calendar>,
}

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    key: Key,
    lease: Lease,
    /// The leases that the hold named for replacement when it was made.
    asked: Vec<LeaseId>,
    /// Those of them that still run.
    replaces: Vec<LeaseId>,
    /// The hold that will replace this lease.
    replaced_by: Option<LeaseId>,
    /// The bookings of this entry in the calendars.
    booked: Vec<(Resource, Window, i128)>,
    /// The start of the commit that includes this lease, while that commit is in progress.
    pinned: Option<Timestamp>,
}

impl Hold {
    /// A hold that replaces no lease.
    #[must_use]
    pub const fn new(lease: Lease) -> Self {
        Self { lease, replaces: Vec::new(), preempts: Vec::new() }
    }

    /// Every lease that ends with this hold.
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

    /// Sets the capacity of an owner from now on. Confirmed leases stay. Holds that exceed the remaining
    /// capacity are released. If confirmed leases exceed the capacity, the ledger reports that and promises
    /// nothing more until enough of them have ended.
    pub fn set_capacity(&mut self, owner: &Owner, capacity: &Quantities) -> Vec<Overcommitment> {
        let steps = capacity.iter().map(|(r, amount)| (r, steps::down(r, amount))).collect();
        self.forget_reclaims(owner);
        self.account(owner).capacity = Some(steps);
        self.release_excess_holds(owner);
        self.overcommitted(owner)
    }

    /// Removes an owner. Its holds are released. Its confirmed leases run until they end, and the ledger
    /// reports them as overcommitted.
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

    /// Releases holds, newest first, until the rest fits. No party relies on a hold yet, and a confirmation
    /// would promise capacity that does not exist.
    fn release_excess_holds(&mut self, owner: &Owner) {
        let held = self.leases().filter(|l| l.owner == *owner && l.state == LeaseState::Held);
        let mut held: Vec<LeaseId> = held.map(|lease| lease.id.clone()).collect();
        while !self.overcommitted(owner).is_empty()
            && let Some(last) = held.pop()
        {
            self.release(&[last]);
        }
    }

    /// Holds all of these leases or none. Returns the leases that were not held before.
    ///
    /// # Errors
    /// [`LedgerError`] for the first lease that cannot be held; the ledger is then unchanged.
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

    /// The changes that [`Ledger::confirm`] would make, so that the caller can persist them first.
    ///
    /// # Errors
    /// [`LedgerError`] if one of the holds is unknown or has ended, or if another commit in progress
    /// changes the same lease.
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

    /// Confirms all of the holds or none. Ends the leases that they replace and the further leases of the
    /// commitment. Returns every changed lease.
    ///
    /// # Errors
    /// As [`Ledger::prepare`]; the ledger is then unchanged.
    pub fn confirm(
        &mut self,
        commitment: &Commitment,
        now: Timestamp,
    ) -> Result<Vec<Lease>, LedgerError> {
        let changed = self.prepare(commitment, now)?;
        self.change(&changed, &commitment.confirm);
        Ok(changed)
    }

    /// Ends the old leases first, so that no moment counts old and new in full.
    fn change(&mut self, changed: &[Lease], confirm: &[LeaseId]) {
        let new: BTreeSet<&LeaseId> = confirm.iter().collect();
        let (confirmed, ended): (Vec<_>, Vec<_>) =
            changed.iter().partition(|lease| new.contains(&lease.id));
        ended.into_iter().chain(confirmed).for_each(|lease| self.update(lease));
    }

    /// Releases the held and confirmed leases among these and returns them. Leases of a commit in progress
    /// stay.
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

    /// Expires the leases that have ended at `now` and returns them.
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

    /// Follows a clock that was set back to `now`: bookings that were forgotten as past count again if
    /// their lease is still known.
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

    /// Books the leases of an earlier run, regardless of the current capacities. Returns the leases that
    /// changed: a hold is released, because its session is gone, and a lease that ended in the meantime has
    /// expired.
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

    /// Holds one lease. Returns whether the hold is new.
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

    /// Checks one lease that a hold replaces. A lease that has ended in the meantime is allowed; it books
    /// nothing.
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
