//! Detects whether another negotiation has agreed on the same capacity since a deal was drafted. If so, the
//! deal is drafted again on top of that agreement, so that only one agreement is in effect.

use std::collections::{BTreeMap, BTreeSet};

use haggle_model::{Lease, LeaseId, LeaseState, Name, Owner, Timestamp};

use super::{Session, drafting::Draft};
use crate::Context;

/// The assumptions of a deal.
#[derive(Debug, Default)]
pub(super) struct Basis {
    /// The services whose replicas the deal places.
    placed: BTreeSet<Name>,
    /// The services, other than the requester, that keep their replicas, with the number that the deal
    /// relies on.
    relied: BTreeMap<Name, u32>,
    /// The leases that the placed services and the requester had within the window.
    seen: BTreeSet<LeaseId>,
    /// By lease that is to stay: its end.
    kept: BTreeMap<LeaseId, Timestamp>,
}

/// Whether the assumptions of a deal still hold.
#[derive(Debug)]
pub(super) enum Ground {
    Firm,
    /// An agreement that changes them is being committed.
    Moving,
    /// They do not hold; the text gives the reason.
    Lost(String),
}

impl Ground {
    pub(super) const fn is_moving(&self) -> bool {
        matches!(self, Self::Moving)
    }
}

impl Basis {
    /// The services that keep their replicas, with the number that the deal relies on.
    pub(super) const fn relied(&self) -> &BTreeMap<Name, u32> {
        &self.relied
    }
}

impl Session {
    /// The assumptions of the draft, which places replicas of the services in `placed`.
    pub(super) fn basis(
        &self,
        draft: &Draft,
        placed: BTreeSet<Name>,
        relied: BTreeMap<Name, u32>,
        cx: &Context<'_>,
    ) -> Basis {
        let mut basis = Basis { placed, relied, ..Basis::default() };
        // The draft could not take commits in progress into account.
        let settled = |lease: &&Lease| !cx.ledger.is_pinned(&lease.id);
        let seen = self.concerned(&basis.placed, cx).filter(settled);
        basis.seen = seen.map(|lease| lease.id.clone()).collect();
        basis.kept = draft.kept.iter().cloned().collect();
        basis
    }

    /// Whether another negotiation has changed the assumptions of the deal.
    pub(super) fn ground(&self, basis: &Basis, cx: &Context<'_>) -> Ground {
        let Basis { placed, relied, seen, kept } = basis;
        let others = || self.concerned(placed, cx).filter(|l| l.negotiation != self.demand.session);
        let replicas = relied.keys().flat_map(|name| cx.ledger.leases_of(name)).filter(|lease| {
            let unit = matches!(lease.owner, Owner::Unit { .. });
            unit && lease.negotiation != self.demand.session
                && lease.window.overlaps(&self.demand.window)
        });
        if others().chain(replicas).any(|lease| cx.ledger.is_pinned(&lease.id)) {
            return Ground::Moving;
        }
        let new = others().find(|lease| !seen.contains(&lease.id));
        let ended = |(id, end): &(&LeaseId, &Timestamp)| {
            let lease = cx.ledger.lease(id).filter(|lease| lease.state == LeaseState::Confirmed);
            **end > cx.now && lease.is_none_or(|lease| lease.window.end < **end)
        };
        match (new, kept.iter().find(ended)) {
            (Some(lease), _) => Ground::Lost(format!("meanwhile {} was agreed", lease.id)),
            (_, Some((id, _))) => Ground::Lost(format!("meanwhile {id} has ended")),
            (None, None) => Ground::Firm,
        }
    }

    /// The leases of the requester and the placed services within the window, including those in a commit.
    fn concerned<'a>(
        &'a self,
        placed: &'a BTreeSet<Name>,
        cx: &Context<'a>,
    ) -> impl Iterator<Item = &'a Lease> {
        let (window, ledger) = (self.demand.window, cx.ledger);
        let root = &self.demand.requester;
        let others = placed.iter().filter(move |name| *name != root);
        let units = others.flat_map(|name| ledger.leases_of(name));
        let units = units.filter(|lease| matches!(lease.owner, Owner::Unit { .. }));
        ledger.leases_of(root).chain(units).filter(move |lease| {
            let counts = lease.state == LeaseState::Confirmed || ledger.is_pinned(&lease.id);
            counts && lease.window.overlaps(&window)
        })
    }
}
