//! Tries the alternatives of the policy, in order, when the full demand is not available at the requested
//! time.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use haggle_model::{
    Alternative, Lease, LeaseId, LeaseState, Name, Owner, Quantities, Strength, Tier, Window,
};

use super::{CLOSE, Next, Session, drafting::Draft};
use crate::{Context, Demand, service_capacity};

/// The terms of a round, in addition to the demand.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    /// The requested window.
    pub(super) wanted: Window,
    /// The alternatives not yet tried.
    untried: VecDeque<Alternative>,
    /// The alternatives in effect.
    pub(super) taken: Vec<Alternative>,
    /// The largest fraction that the requester itself can carry.
    pub(super) whole: f64,
    /// Whether a smaller fraction is acceptable.
    smaller: bool,
    /// Whether replicas may be in any location.
    pub(super) anywhere: bool,
    /// Whether leases of lower tiers may be preempted.
    pub(super) borrows: bool,
    /// The available fraction of the last round in which a service offered less than it has.
    offered: f64,
}

impl Terms {
    pub(super) fn new(demand: &Demand) -> Self {
        Self {
            wanted: demand.window,
            untried: demand.policy.alternatives.iter().copied().collect(),
            taken: Vec::new(),
            whole: 1.0,
            smaller: false,
            anywhere: false,
            borrows: false,
            offered: 0.0,
        }
    }

    /// Records the fraction. Returns whether it exceeds that of the round before.
    fn improves(&mut self, fraction: f64) -> bool {
        let before = std::mem::replace(&mut self.offered, fraction);
        fraction > before * (1.0 + CLOSE)
    }

    /// The number of rounds needed to try the remaining alternatives.
    fn rounds_to_try(&self) -> u32 {
        let tried = self.untried.iter().filter(|other| **other != Alternative::Partial);
        u32::try_from(tried.count()).unwrap_or(u32::MAX)
    }

    fn take(&mut self, alternative: Alternative) {
        if !self.taken.contains(&alternative) {
            self.taken.push(alternative);
        }
    }
}

impl Session {
    /// Limits the first round to the bounds of the requester itself. Returns whether anything is left to
    /// request.
    pub(super) fn bound_by_requester(&mut self) -> bool {
        loop {
            let root = self.demand.requester.clone();
            let Some(snapshot) = self.snapshots.get(&root) else { return true };
            let most = service_capacity(&snapshot.service, snapshot.target_utilization);
            let need = self.share(&self.core, &root);
            let fraction = most.share_of(&need);
            if fraction >= 1.0 - CLOSE {
                return true;
            }
            let replicas = snapshot.service.replicas.max;
            let untried = &mut self.terms.untried;
            let without_optional = untried.iter().position(|a| *a == Alternative::WithoutOptional);
            let partial = untried.iter().position(|a| *a == Alternative::Partial);
            match (without_optional, partial) {
                (Some(place), other) if other.is_none_or(|other| place < other) => {
                    untried.remove(place);
                    self.degrade();
                }
                (_, Some(_)) if fraction > CLOSE => {
                    let text = format!("at most {replicas} replicas carry {most} of {need}");
                    self.reason(&root, text);
                    self.terms.whole = fraction;
                    self.fraction = fraction;
                    return true;
                }
                _ => {
                    let text = format!("at most {replicas} replicas carry {most} of {need}");
                    self.reason(&root, text);
                    return false;
                }
            }
        }
    }

    /// Proceeds with the possible fraction, repeats the round, or tries the next alternative.
    pub(super) fn decide(&mut self, fraction: f64, cx: &Context<'_>) -> Next {
        if fraction >= self.fraction * (1.0 - CLOSE) {
            return Next::Proceed;
        }
        let rounds = self.demand.policy.max_rounds.saturating_sub(self.round);
        // A service that offered less than it has may concede. Repeat the same request before accepting
        // less.
        if self.withheld && rounds > self.terms.rounds_to_try() && self.terms.improves(fraction) {
            return Next::AnotherRound;
        }
        let rounds_left = rounds > 0;
        loop {
            if self.terms.smaller && fraction > CLOSE {
                self.fraction = fraction;
                return if rounds_left { Next::AnotherRound } else { Next::Proceed };
            }
            let Some(alternative) = self.terms.untried.pop_front() else { return Next::Fail };
            if alternative == Alternative::Partial {
                self.terms.smaller = true;
                // Requests less at the originally requested time, if a round is left for that.
                if self.demand.window != self.terms.wanted && rounds_left && !self.terms.borrows {
                    self.demand.window = self.terms.wanted;
                    self.terms.taken.retain(|taken| *taken != Alternative::Delayed);
                    self.terms.take(alternative);
                    return self.anew();
                }
                self.terms.take(alternative);
                continue;
            }
            if rounds_left && self.try_alternative(alternative, cx) {
                return self.anew();
            }
        }
    }

    /// Applies an alternative. Returns whether it can change anything.
    fn try_alternative(&mut self, alternative: Alternative, cx: &Context<'_>) -> bool {
        let possible = match alternative {
            Alternative::Delayed => match self.later(cx) {
                Some(start) => {
                    // If this start fails too, the next attempt tries the next one.
                    self.terms.untried.push_front(alternative);
                    self.demand.window = Window::new(start, self.terms.wanted.length());
                    true
                }
                None => {
                    self.demand.window = self.terms.wanted;
                    self.terms.taken.retain(|taken| *taken != alternative);
                    false
                }
            },
            Alternative::OtherLocation => {
                let bound = |name: &Name| {
                    self.snapshots.get(name).is_some_and(|s| s.service.location.is_some())
                };
                let possible = !self.terms.anywhere && self.firm.shares().keys().any(bound);
                self.terms.anywhere |= possible;
                possible
            }
            Alternative::Preempt => self.borrow(cx),
            Alternative::WithoutOptional => self.degrade(),
            _ => false,
        };
        if possible {
            self.terms.take(alternative);
        }
        possible
    }

    fn anew(&mut self) -> Next {
        self.fraction = self.terms.whole;
        self.terms.offered = 0.0;
        Next::AnotherRound
    }

    /// Allows preemption of lower tiers. Their notice must pass first, so the window begins after the
    /// notice.
    fn borrow(&mut self, cx: &Context<'_>) -> bool {
        let earliest = cx.now + self.demand.policy.preemption_notice;
        let start = self.demand.window.start.max(earliest);
        let window = Window { start, end: self.demand.window.end };
        if self.terms.borrows || window.start >= window.end {
            return false;
        }
        let lower = cx.ledger.leases().any(|l| l.window.overlaps(&window) && self.is_lower(l, cx));
        if lower {
            self.demand.window = window;
            self.terms.borrows = true;
        }
        lower
    }

    /// Drops the optional dependencies and the headroom of the requester.
    fn degrade(&mut self) -> bool {
        let root = &self.demand.requester;
        let headroom = Arc::make_mut(&mut self.snapshots)
            .get_mut(root)
            .is_some_and(|snapshot| std::mem::replace(&mut snapshot.target_utilization, 1.0) < 1.0);
        let optional = self.firm.shares().keys().any(|name| {
            self.firm.dependencies_of(name).any(|(_, d)| d.strength != Strength::Mandatory)
        });
        if optional {
            self.keep(Arc::clone(&self.core));
        }
        if headroom || optional {
            self.terms.take(Alternative::WithoutOptional);
        }
        headroom || optional
    }

    fn tier_of(&self, name: &Name, cx: &Context<'_>) -> Option<Tier> {
        let known = self.snapshots.get(name).map(|snapshot| snapshot.tier);
        known.or_else(|| cx.world.snapshot(name).map(|snapshot| snapshot.tier))
    }

    /// Whether the requester may preempt a lease.
    fn is_lower(&self, lease: &Lease, cx: &Context<'_>) -> bool {
        let own = self.tier_of(&self.demand.requester, cx);
        lease.state == LeaseState::Confirmed
            && lease.holder != self.demand.requester
            && !self.snapshots.contains_key(&lease.holder)
            && self.tier_of(&lease.holder, cx).zip(own).is_some_and(|(other, own)| other > own)
    }

    /// The preemptible leases on an owner, lowest tier first.
    pub(super) fn lower(&self, owner: &Owner, cx: &Context<'_>) -> Vec<LeaseId> {
        if !self.terms.borrows {
            return Vec::new();
        }
        let window = self.demand.window;
        let mut leases: Vec<&Lease> = cx
            .ledger
            .leases()
            .filter(|l| l.owner == *owner && l.window.overlaps(&window) && self.is_lower(l, cx))
            .collect();
        leases.sort_by(|a, b| {
            let tier = |lease: &Lease| self.tier_of(&lease.holder, cx);
            tier(b).cmp(&tier(a)).then_with(|| a.id.cmp(&b.id))
        });
        leases.into_iter().map(|lease| lease.id.clone()).collect()
    }

    /// The minimum of preempted leases that makes room for a new lease.
    pub(super) fn victims(
        &self,
        draft: &Draft,
        new: &Lease,
        replaces: &[LeaseId],
        cx: &Context<'_>,
    ) -> Vec<LeaseId> {
        if !self.terms.borrows {
            return Vec::new();
        }
        let mut victims: Vec<LeaseId> = Vec::new();
        let taken: BTreeSet<&LeaseId> =
            draft.holds.iter().flat_map(|hold| &hold.preempts).collect();
        let beside: Quantities = draft
            .holds
            .iter()
            .filter(|hold| hold.lease.owner == new.owner)
            .fold(Quantities::new(), |sum, hold| sum.plus(&hold.lease.amounts));
        for victim in self.lower(&new.owner, cx) {
            let without: Vec<LeaseId> =
                replaces.iter().chain(&victims).chain(taken.iter().copied()).cloned().collect();
            let free = cx.ledger.free(&new.owner, new.window, &without);
            if free.minus(&beside).covers(&new.amounts) {
                break;
            }
            if !taken.contains(&victim) {
                victims.push(victim);
            }
        }
        victims
    }
}
