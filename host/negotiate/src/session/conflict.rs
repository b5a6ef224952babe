//! Whether another negotiation has come to an agreement about the same since a deal was drafted: then it is
//! drafted anew, in place of that, so that only one agreement stands.

use std::collections::{BTreeMap, BTreeSet};

use haggle_model::{Lease, LeaseId, LeaseState, Name, Owner, Timestamp};

use super::{Session, drafting::Draft};
use crate::Context;

/// What a deal stands on.
#[derive(Debug, Default)]
pub(super) struct Basis {
    /// Those whose replicas it places.
    placed: BTreeSet<Name>,
    /// Those beside the requester that keep the replicas they have, and how many the deal counts on.
    relied: BTreeMap<Name, u32>,
    /// What those that are placed and the requester had leased within its window.
    seen: BTreeSet<LeaseId>,
    /// Until when that of it lasts that is to stay.
    kept: BTreeMap<LeaseId, Timestamp>,
}

/// Whether a deal still stands on what it was drafted for.
#[derive(Debug)]
pub(super) enum Ground {
    Firm,
    /// An agreement that changes it is on its way to disk.
    Moving,
    /// It does not; the text says why.
    Lost(String),
}

impl Ground {
    pub(super) const fn is_moving(&self) -> bool {
        matches!(self, Self::Moving)
    }
}

impl Basis {
    /// Those that keep the replicas they have, and how many the deal counts on.
    pub(super) const fn relied(&self) -> &BTreeMap<Name, u32> {
        &self.relied
    }
}

impl Session {
    /// What the draft stands on; it places replicas of these.
    pub(super) fn basis(
        &self,
        draft: &Draft,
        placed: BTreeSet<Name>,
        relied: BTreeMap<Name, u32>,
        cx: &Context<'_>,
    ) -> Basis {
        let mut basis = Basis { placed, relied, ..Basis::default() };
        // What is on its way to disk could not be taken into account yet.
        let settled = |lease: &&Lease| !cx.ledger.is_pinned(&lease.id);
        let seen = self.concerned(&basis.placed, cx).filter(settled);
        basis.seen = seen.map(|lease| lease.id.clone()).collect();
        basis.kept = draft.kept.iter().cloned().collect();
        basis
    }

    /// Whether another negotiation has changed what the deal stands on.
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

    /// What the requester and those that are placed have leased within the window, or are about to.
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
