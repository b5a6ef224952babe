//! Leases that extend beyond the window of a session stay. The session replaces the leases within its
//! window and adds to the staying ones.

use std::collections::BTreeSet;

use haggle_model::{Lease, LeaseId, LeaseState, Name, Owner, Quantities, Timestamp, Window};

use super::Session;
use crate::{Context, world::placements};

/// The leases of one holder over time.
#[derive(Debug, Default)]
pub(super) struct Profile<'a>(Vec<&'a Lease>);

impl Session {
    /// The leases for replicas of a service that stay.
    pub(super) fn staying_replicas<'a>(&'a self, name: &Name, cx: &Context<'a>) -> Profile<'a> {
        let Some(snapshot) = self.snapshots.get(name) else { return Profile::default() };
        let leases = placements(cx.ledger, &snapshot.service, self.demand.window);
        Profile(leases.filter(|lease| self.stays(lease)).collect())
    }

    /// The leases for replicas of a service that the session replaces.
    pub(super) fn replaced_replicas<'a>(&'a self, name: &Name, cx: &Context<'a>) -> Profile<'a> {
        let staying = self.staying_replicas(name, cx);
        let replaced = cx.ledger.leases_of(name).filter(|lease| {
            matches!(lease.owner, Owner::Unit { .. })
                && lease.state == LeaseState::Confirmed
                && lease.window.overlaps(&self.demand.window)
                && !staying.leases().any(|other| other.id == lease.id)
        });
        Profile(replaced.collect())
    }

    /// The promises of an owner to the requester: those that stay, and those to replace.
    pub(super) fn promised_before<'a>(
        &self,
        owner: &Owner,
        cx: &Context<'a>,
    ) -> (Profile<'a>, Profile<'a>) {
        let leases = cx.ledger.leases_between(&self.demand.requester, owner).filter(|lease| {
            lease.state == LeaseState::Confirmed && lease.window.overlaps(&self.demand.window)
        });
        let (staying, replaced) = leases.partition(|lease| self.stays(lease));
        (Profile(staying), Profile(replaced))
    }

    fn stays(&self, lease: &Lease) -> bool {
        let window = self.demand.window;
        let beyond = lease.window.start > window.start || lease.window.end > window.end;
        let own = lease.holder == self.demand.requester;
        // Leases that the requester has for only a later part of the window always give way to the current
        // request.
        let within = lease.window.start > window.start && lease.window.end <= window.end;
        beyond && !(own && (within || self.replaces.contains(&lease.negotiation)))
    }
}

impl<'a> Profile<'a> {
    pub(super) fn leases(&self) -> impl Iterator<Item = &'a Lease> {
        self.0.iter().copied()
    }

    pub(super) fn ids(&self) -> Vec<LeaseId> {
        self.leases().map(|lease| lease.id.clone()).collect()
    }

    /// The leases of one owner.
    pub(super) fn on(&self, owner: &Owner) -> Self {
        Self(self.leases().filter(|lease| lease.owner == *owner).collect())
    }

    /// The window without its trailing part for which the leases are enough.
    pub(super) fn missing(&self, window: Window, enough: impl Fn(&Self) -> bool) -> Window {
        let moments = self.moments(window).into_iter().rev();
        let covered = moments.take_while(|at| enough(&self.at(*at)));
        Window { end: covered.last().unwrap_or(window.end), ..window }
    }

    /// The minimum number of replicas over the window.
    pub(super) fn least_replicas(&self, window: Window) -> u32 {
        let moments = self.moments(window).into_iter();
        moments.map(|at| self.at(at).replicas()).min().unwrap_or(0)
    }

    /// The minimum amounts over the window.
    pub(super) fn least_amounts(&self, window: Window) -> Quantities {
        let levels = self.moments(window).into_iter().map(|at| self.at(at).amounts());
        levels.reduce(|a, b| smaller(&a, &b)).unwrap_or_default()
    }

    /// The maximum amounts over the window.
    pub(super) fn most_amounts(&self, window: Window) -> Quantities {
        let levels = self.moments(window).into_iter().map(|at| self.at(at).amounts());
        levels.reduce(|a, b| a.max(&b)).unwrap_or_default()
    }

    /// The total number of replicas.
    pub(super) fn replicas(&self) -> u32 {
        self.leases().map(|lease| lease.replicas).fold(0, u32::saturating_add)
    }

    /// The total amounts.
    pub(super) fn amounts(&self) -> Quantities {
        self.leases().fold(Quantities::new(), |sum, lease| sum.plus(&lease.amounts))
    }

    /// The maximum total price per hour over the window.
    pub(super) fn highest_price(&self, window: Window) -> f64 {
        let price = |at: Timestamp| self.at(at).leases().map(|lease| lease.price_per_hour).sum();
        self.moments(window).into_iter().map(price).fold(0.0, f64::max)
    }

    /// The first moment of the window with fewer replicas than `replicas`, or the end of the window.
    pub(super) fn falls_below(&self, replicas: u32, window: Window) -> Timestamp {
        let mut moments = self.moments(window).into_iter();
        moments.find(|at| self.at(*at).replicas() < replicas).unwrap_or(window.end)
    }

    /// The union of both.
    pub(super) fn with(&self, others: &Self) -> Self {
        self.leases().chain(others.leases()).collect()
    }

    fn at(&self, at: Timestamp) -> Self {
        Self(self.leases().filter(|lease| lease.window.contains(at)).collect())
    }

    /// The moments within the window at which the level may change, including its start.
    fn moments(&self, window: Window) -> BTreeSet<Timestamp> {
        let edges = self.leases().flat_map(|lease| [lease.window.start, lease.window.end]);
        let all = edges.chain([window.start]);
        all.filter(|at| window.contains(*at)).collect()
    }
}

impl<'a> FromIterator<&'a Lease> for Profile<'a> {
    fn from_iter<I: IntoIterator<Item = &'a Lease>>(leases: I) -> Self {
        Self(leases.into_iter().collect())
    }
}

/// The minimum of both, by resource.
pub(super) fn smaller(a: &Quantities, b: &Quantities) -> Quantities {
    // Subtracts the excess of one over the other.
    a.minus(&a.minus(b))
}
