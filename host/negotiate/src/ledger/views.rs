//! What can be read from the ledger.

use std::{collections::BTreeSet, fmt};

use haggle_model::{
    Lease, LeaseId, LeaseState, Name, Owner, Quantities, Resource, Timestamp, Window,
};
use serde::{Deserialize, Serialize};

use super::{Key, Ledger};
use crate::steps;

/// An owner has promised more than it has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Overcommitment {
    /// Whose capacity.
    pub owner: Owner,
    /// What is short.
    pub resource: Resource,
    /// How much there is.
    pub capacity: f64,
    /// The most that is promised at once.
    pub committed: f64,
    /// When that is first so.
    pub at: Timestamp,
}

/// What a holder keeps of an owner at least, in place of leases that it has.
#[derive(Clone, Debug)]
pub(crate) struct Keeping {
    pub(crate) amounts: Quantities,
    pub(crate) window: Window,
    pub(crate) replaces: Vec<LeaseId>,
    /// Leases of others that make way for it.
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
    /// What the owner has; none where it has no account.
    #[must_use]
    pub fn capacity(&self, owner: &Owner) -> Option<Quantities> {
        let capacity = self.accounts.get(owner)?.capacity.as_ref()?;
        Some(steps::quantities(capacity.iter().map(|(r, steps)| (*r, *steps))))
    }

    /// The owners that have an account.
    pub fn owners(&self) -> impl Iterator<Item = &Owner> {
        self.accounts.iter().filter(|(_, account)| account.capacity.is_some()).map(|(o, _)| o)
    }

    /// The most that is promised of the owner at once within the window, these leases left out. A lease
    /// that another negotiation is replacing just now is counted all the same.
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

    /// What is free of the owner throughout the window if these leases were replaced; nothing where it
    /// has no account.
    #[must_use]
    pub fn free(&self, owner: &Owner, window: Window, replacing: &[LeaseId]) -> Quantities {
        let capacity = self.capacity(owner).unwrap_or_default();
        capacity.minus(&self.committed(owner, window, replacing))
    }

    /// What is free of the owner for each of these throughout its window if it replaced its own leases, and all
    /// others kept what they keep.
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

    /// What stands in the calendars of the owner because of these, but for what others are replacing just now.
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

    /// What `holder` has leased of `owner` and can count on throughout the window: the least at any
    /// moment of it. Holds do not count.
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

    /// The leases that are held or confirmed, by holder.
    pub fn leases(&self) -> impl Iterator<Item = &Lease> {
        self.lines.values().flatten().filter_map(|(_, key)| self.live(key))
    }

    /// Those of one holder, by owner.
    pub fn leases_of(&self, holder: &Name) -> impl Iterator<Item = &Lease> {
        self.lines.get(holder).into_iter().flatten().filter_map(|(_, key)| self.live(key))
    }

    /// Those of one holder on one owner.
    pub fn leases_between(&self, holder: &Name, owner: &Owner) -> impl Iterator<Item = &Lease> {
        let first = (owner.clone(), Key::default());
        self.lines
            .get(holder)
            .into_iter()
            .flat_map(move |leases| leases.range::<_, (Owner, Key)>(first.clone()..))
            .take_while(move |(of, _)| of == owner)
            .filter_map(|(_, key)| self.live(key))
    }

    /// A lease, even one that is over, as long as it is remembered.
    #[must_use]
    pub fn lease(&self, id: &LeaseId) -> Option<&Lease> {
        self.entries.get(id.0.as_str()).map(|entry| &entry.lease)
    }

    /// Whether both have the same capacities and the same confirmed leases: what a restart restores, whatever
    /// is held, and whatever is over and still remembered.
    #[must_use]
    pub fn promises_the_same(&self, other: &Self) -> bool {
        let capacities = |ledger: &Self| -> Vec<(Owner, Quantities)> {
            ledger.owners().filter_map(|o| Some((o.clone(), ledger.capacity(o)?))).collect()
        };
        let confirmed = |lease: &&Lease| lease.state == LeaseState::Confirmed;
        capacities(self) == capacities(other)
            && self.leases().filter(confirmed).eq(other.leases().filter(confirmed))
    }

    /// Where the owner has promised more than it has, from the present on.
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
