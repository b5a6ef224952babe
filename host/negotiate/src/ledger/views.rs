//! Read access to the ledger.

use std::{collections::BTreeSet, fmt};

use haggle_model::{
    Lease, LeaseId, LeaseState, Name, Owner, Quantities, Resource, Timestamp, Window,
};
use serde::{Deserialize, Serialize};

use super::{Key, Ledger};
use crate::steps;

/// An owner that has promised more than its capacity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Overcommitment {
    /// The owner of the capacity.
    pub owner: Owner,
    /// The resource that is short.
    pub resource: Resource,
    /// The capacity.
    pub capacity: f64,
    /// The highest promised amount at any moment.
    pub committed: f64,
    /// The first moment of that amount.
    pub at: Timestamp,
}

/// The minimum that a holder keeps of an owner, in place of its current leases.
#[derive(Clone, Debug)]
pub(crate) struct Keeping {
    pub(crate) amounts: Quantities,
    pub(crate) window: Window,
    pub(crate) replaces: Vec<LeaseId>,
    /// Leases of other holders that it displaces.
    pub(crate) preempts: Vec<LeaseId>,
}

impl fmt::Display for Overcommitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { owner, resource, capacity, committed, at } = self;
        write!(
            f,
            "{committed} {resource} of {owner} are promised at {at}, and there are {capacity}"
        )
    }
}

impl Ledger {
    /// The capacity of the owner; `None` if it has no account.
    #[must_use]
    pub fn capacity(&self, owner: &Owner) -> Option<Quantities> {
        let capacity = self.accounts.get(owner)?.capacity.as_ref()?;
        Some(steps::quantities(capacity.iter().map(|(r, steps)| (*r, *steps))))
    }

    /// The owners that have capacity.
    pub fn owners(&self) -> impl Iterator<Item = &Owner> {
        self.accounts.iter().filter(|(_, account)| account.capacity.is_some()).map(|(o, _)| o)
    }

    /// The highest amount of the owner that is promised at any moment of the window, not counting the
    /// leases in `without`. A lease in `without` still counts while another negotiation is replacing it.
    #[must_use]
    pub fn committed(&self, owner: &Owner, window: Window, without: &[LeaseId]) -> Quantities {
        let Some(account) = self.accounts.get(owner) else { return Quantities::new() };
        let left_out: Vec<_> = self.booked_by(without, owner).collect();
        let peaks = account.calendars.iter().map(|(resource, calendar)| {
            let mut parts = left_out.iter().filter(|(r, ..)| r == resource).peekable();
            if parts.peek().is_none() {
                return (*resource, calendar.peak(window).0);
            }
            let mut calendar = calendar.clone();
            for (_, booked, steps) in parts {
                calendar.add(*booked, -steps);
            }
            (*resource, calendar.peak(window).0)
        });
        steps::quantities(peaks)
    }

    /// The amount of the owner that is free throughout the window if these leases were replaced; empty if
    /// the owner has no account.
    #[must_use]
    pub fn free(&self, owner: &Owner, window: Window, replacing: &[LeaseId]) -> Quantities {
        let capacity = self.capacity(owner).unwrap_or_default();
        capacity.minus(&self.committed(owner, window, replacing))
    }

    /// For each of these, the amount of the owner that is free throughout its window if it replaced its own
    /// leases and all others kept theirs.
    pub(crate) fn free_beside(&self, owner: &Owner, all: &[Keeping]) -> Vec<Quantities> {
        let capacity = self.capacity(owner).unwrap_or_default();
        let account = self.accounts.get(owner);
        let mut calendars = account.map(|a| a.calendars.clone()).unwrap_or_default();
        let kept: Vec<_> =
            all.iter().map(|one| self.beyond(&one.amounts, one.window, &one.replaces)).collect();
        for (resource, window, steps) in kept.iter().flatten() {
            calendars.entry(*resource).or_default().add(*window, *steps);
        }
        let free = all.iter().zip(&kept).map(|(one, kept)| {
            let mut others = calendars.clone();
            let own = self.booked_by(&one.replaces, owner);
            for (resource, window, steps) in
                own.chain(self.booked_by(&one.preempts, owner)).chain(kept)
            {
                others.entry(*resource).or_default().add(*window, -steps);
            }
            let peaks =
                others.iter().map(|(resource, calendar)| (*resource, calendar.peak(one.window).0));
            capacity.minus(&steps::quantities(peaks))
        });
        free.collect()
    }

    /// The bookings of these leases in the calendars of the owner, without leases that other holds are
    /// replacing.
    fn booked_by<'a>(
        &'a self,
        leases: &'a [LeaseId],
        owner: &'a Owner,
    ) -> impl Iterator<Item = &'a (Resource, Window, i128)> {
        leases
            .iter()
            .filter_map(|id| self.entries.get(id.0.as_str()))
            .filter(move |entry| entry.lease.owner == *owner && entry.replaced_by.is_none())
            .flat_map(|entry| &entry.booked)
    }

    /// The amount of `owner` that `holder` has leased throughout the window: the minimum over all moments.
    /// Holds do not count.
    #[must_use]
    pub fn agreed(&self, holder: &Name, owner: &Owner, window: Window) -> Quantities {
        let leases: Vec<&Lease> = self
            .leases_between(holder, owner)
            .filter(|lease| lease.state == LeaseState::Confirmed)
            .collect();
        let resources: BTreeSet<Resource> =
            leases.iter().flat_map(|lease| lease.amounts.iter()).map(|(r, _)| r).collect();
        let moments = leases
            .iter()
            .flat_map(|lease| [lease.window.start, lease.window.end])
            .filter(|at| window.contains(*at))
            .chain([window.start]);
        let levels: Vec<Quantities> = moments
            .map(|at| {
                let here = leases.iter().filter(|lease| lease.window.contains(at));
                here.fold(Quantities::new(), |sum, lease| sum.plus(&lease.amounts))
            })
            .collect();
        let least = |r| levels.iter().map(|level| level.get(r)).fold(Quantities::MAX, f64::min);
        Quantities::from_pairs(resources.into_iter().map(|r| (r, least(r)))).unwrap_or_default()
    }

    /// The leases that are held or confirmed, sorted by holder.
    pub fn leases(&self) -> impl Iterator<Item = &Lease> {
        self.lines.values().flatten().filter_map(|(_, key)| self.live(key))
    }

    /// The leases of one holder, sorted by owner.
    pub fn leases_of(&self, holder: &Name) -> impl Iterator<Item = &Lease> {
        self.lines.get(holder).into_iter().flatten().filter_map(|(_, key)| self.live(key))
    }

    /// The leases of one holder on one owner.
    pub fn leases_between(&self, holder: &Name, owner: &Owner) -> impl Iterator<Item = &Lease> {
        let first = (owner.clone(), Key::default());
        self.lines
            .get(holder)
            .into_iter()
            .flat_map(move |leases| leases.range::<_, (Owner, Key)>(first.clone()..))
            .take_while(move |(of, _)| of == owner)
            .filter_map(|(_, key)| self.live(key))
    }

    /// A lease, even an ended one, as long as the ledger remembers it.
    #[must_use]
    pub fn lease(&self, id: &LeaseId) -> Option<&Lease> {
        self.entries.get(id.0.as_str()).map(|entry| &entry.lease)
    }

    /// Whether both ledgers have the same capacities and the same confirmed leases, which is the state that
    /// a restart restores. Holds and ended leases are ignored.
    #[must_use]
    pub fn promises_the_same(&self, other: &Self) -> bool {
        let capacities = |ledger: &Self| -> Vec<(Owner, Quantities)> {
            ledger.owners().filter_map(|o| Some((o.clone(), ledger.capacity(o)?))).collect()
        };
        let confirmed = |lease: &&Lease| lease.state == LeaseState::Confirmed;
        capacities(self) == capacities(other)
            && self.leases().filter(confirmed).eq(other.leases().filter(confirmed))
    }

    /// The resources for which the owner has promised more than its capacity, from now on.
    #[must_use]
    pub fn overcommitted(&self, owner: &Owner) -> Vec<Overcommitment> {
        let Some(account) = self.accounts.get(owner) else { return Vec::new() };
        let over = account.calendars.iter().filter_map(|(resource, calendar)| {
            let capacity =
                account.capacity.as_ref().and_then(|c| c.get(resource)).copied().unwrap_or(0);
            let (committed, at) = calendar.highest();
            (committed > capacity).then(|| Overcommitment {
                owner: owner.clone(),
                resource: *resource,
                capacity: steps::amount(*resource, capacity),
                committed: steps::amount(*resource, committed),
                at,
            })
        });
        over.collect()
    }
}
