//! Holds the leases of a deal, and then confirms them as a whole.

use std::{collections::BTreeMap, sync::Arc};

use haggle_model::{LeaseId, LeaseState, Name, Timestamp};

use super::{
    Output, Session, State,
    conflict::{Basis, Ground},
    drafting::Draft,
    placing::Placement,
};
use crate::{
    AgreedService, Agreement, Commitment, Context, Ledger, MessageId, Outcome, Party,
    leased_replicas,
};

/// An agreement that the ledger is holding or confirming.
#[derive(Clone, Debug)]
pub(super) struct Deal {
    pub(super) message: MessageId,
    agreement: Arc<Agreement>,
    commitment: Arc<Commitment>,
    basis: Arc<Basis>,
}

impl Deal {
    /// Whether the ledger has carried the deal out.
    pub(super) fn is_committed(&self, ledger: &Ledger) -> bool {
        let Commitment { confirm, end } = &*self.commitment;
        let state = |id: &LeaseId| ledger.lease(id).map(|lease| lease.state);
        let ended = |(id, at): (&LeaseId, &Timestamp)| {
            ledger
                .lease(id)
                .is_none_or(|lease| lease.state != LeaseState::Confirmed || lease.window.end <= *at)
        };
        confirm.iter().all(|id| state(id) == Some(LeaseState::Confirmed)) && end.iter().all(ended)
    }
}

impl Session {
    /// Turns the placements into leases and requests the hold.
    pub(super) fn strike(
        &mut self,
        placements: BTreeMap<Name, Placement>,
        cx: &Context<'_>,
        out: &mut Vec<Output>,
    ) -> State {
        let mut draft = Draft::default();
        let mut services = BTreeMap::new();
        let mut relied = BTreeMap::new();
        let names: Vec<Name> = self.firm.shares().keys().cloned().collect();
        for name in &names {
            let load = self.share(&self.firm, name).scaled(self.fraction);
            let placement = placements.get(name);
            let needed = self.needed(&self.firm, name, self.fraction, cx);
            // The number is lower only if other loads, not this demand, need the rest.
            let replicas = placement.map_or(needed, |placed| placed.replicas().min(needed));
            let replicas = replicas.max(self.kept(name, cx));
            let anew = matches!(placement, Some(Placement::Anew { .. }));
            if *name != self.demand.requester && !anew && self.leased(name, cx).is_some() {
                let needed = placement.map_or(needed, |placed| placed.replicas().min(needed));
                relied.insert(name.clone(), needed);
            }
            match placement {
                Some(Placement::Anew { clearing, window, .. }) => {
                    let keeps =
                        placement.map_or(0, Placement::replicas) < self.keeps(&self.firm, name, cx);
                    self.draft_placement(&mut draft, name, clearing, (*window, keeps), cx);
                }
                _ if *name == self.demand.requester => self.draft_fewer(&mut draft, replicas, cx),
                _ => {}
            }
            if *name != self.demand.requester {
                self.draft_promise(&mut draft, name, &load, cx);
            }
            services.insert(name.clone(), AgreedService { load, replicas });
        }
        self.draft_departures(&mut draft, cx);
        let anew = placements.iter().filter(|(_, p)| matches!(p, Placement::Anew { .. }));
        let placed = anew.map(|(name, _)| name.clone()).collect();
        let basis = self.basis(&draft, placed, relied, cx);

        let confirm: Vec<LeaseId> = draft.holds.iter().map(|hold| hold.lease.id.clone()).collect();
        let agreement = Arc::new(Agreement {
            session: self.demand.session.clone(),
            requester: self.demand.requester.clone(),
            fraction: self.fraction,
            reduced: self.fraction < 1.0,
            window: (self.demand.window != self.terms.wanted).then_some(self.demand.window),
            alternatives: self.terms.taken.clone(),
            preempted: draft.holds.iter().flat_map(|hold| hold.preempts.clone()).collect(),
            without_optional: self.dropped.iter().cloned().collect(),
            services,
            leases: confirm
                .iter()
                .cloned()
                .chain(draft.kept.into_iter().map(|(id, _)| id))
                .collect(),
            price_per_hour: draft.price,
            rounds: self.round,
            reasons: self.reasons.to_vec(),
        });
        let commitment = Arc::new(Commitment { confirm, end: draft.end });
        let deal =
            Deal { message: self.next_message(), agreement, commitment, basis: Arc::new(basis) };
        if draft.holds.is_empty() {
            return self.ready(deal, cx, out);
        }
        out.push(Output::Hold { message: deal.message, holds: draft.holds });
        State::Holding(deal)
    }

    /// The number of replicas that a service keeps in any case. The requester keeps those that the whole
    /// demand would need: a request for more must not end with fewer. Other services keep all replicas,
    /// because only they know their uses.
    fn kept(&self, name: &Name, cx: &Context<'_>) -> u32 {
        let leased = self.leased(name, cx).unwrap_or(0);
        match *name == self.demand.requester {
            true => leased.min(self.needed(&self.firm, name, 1.0, cx)),
            false => leased,
        }
    }

    /// The number of replicas that a service has leased for the window; `None` if its replicas need no
    /// lease.
    fn leased(&self, name: &Name, cx: &Context<'_>) -> Option<u32> {
        let snapshot = self.snapshots.get(name).filter(|s| Self::is_metered(s, cx))?;
        Some(leased_replicas(cx.ledger, &snapshot.service, self.demand.window))
    }

    /// Checks that every service still has the replicas that the deal relies on, and that the requester
    /// releases none that it now needs. Other sessions may have changed both. Updates the agreement to the
    /// current replicas of the services that keep theirs.
    fn check_replicas(&self, deal: &mut Deal, cx: &Context<'_>) -> Result<(), String> {
        let root = &self.demand.requester;
        let agreement = Arc::make_mut(&mut deal.agreement);
        for (name, needed) in deal.basis.relied() {
            let leased = self.leased(name, cx).unwrap_or(*needed);
            if leased < *needed {
                return Err(format!("meanwhile {name} has {leased} of {needed} replicas"));
            }
            if let Some(agreed) = agreement.services.get_mut(name) {
                agreed.replicas = leased;
            }
        }
        let needed = self.needed(&self.firm, root, self.fraction, cx);
        let left = agreement.services.get(root).map_or(0, |agreed| agreed.replicas);
        match self.leased(root, cx) {
            Some(leased) if left < leased.min(needed) => {
                Err(format!("meanwhile {root} has promised what takes {needed} replicas"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn held(
        &mut self,
        deal: Deal,
        result: Result<(), String>,
        cx: &Context<'_>,
        out: &mut Vec<Output>,
    ) -> State {
        match result {
            Ok(()) => {
                let message = self.next_message();
                self.ready(Deal { message, ..deal }, cx, out)
            }
            // A retry before the other commit is durable would fail too.
            Err(why) if self.ground(&deal.basis, cx).is_moving() => State::Waiting(deal, Err(why)),
            Err(why) => self.strike_again(&deal, &why, cx, out),
        }
    }

    /// Confirms the held leases, unless another agreement has changed the assumptions.
    pub(super) fn ready(
        &mut self,
        mut deal: Deal,
        cx: &Context<'_>,
        out: &mut Vec<Output>,
    ) -> State {
        match self.ground(&deal.basis, cx) {
            // A dry run replaces nothing.
            _ if self.demand.dry_run => self.commit(deal, out),
            Ground::Firm => match self.check_replicas(&mut deal, cx) {
                Ok(()) => self.commit(deal, out),
                Err(why) => self.strike_again(&deal, &why, cx, out),
            },
            Ground::Moving => State::Waiting(deal, Ok(())),
            Ground::Lost(why) => self.strike_again(&deal, &why, cx, out),
        }
    }

    fn strike_again(
        &mut self,
        deal: &Deal,
        why: &str,
        cx: &Context<'_>,
        out: &mut Vec<Output>,
    ) -> State {
        // Another session was faster: examine the remaining capacity and ask again.
        let root = self.demand.requester.clone();
        self.reason(&root, format!("what was agreed could not be held: {why}"));
        // The answer may be wrong, for instance after a timeout. The release makes sure that no hold stays.
        self.release(deal, out);
        if self.round < self.demand.policy.max_rounds {
            self.next_round(cx, out)
        } else {
            self.fail(out)
        }
    }

    /// Makes the remaining rounds independent of an unreliable party, as far as possible.
    pub(super) fn do_without(&mut self, party: Party) {
        match party {
            Party::Service(name) if !self.core.shares().contains_key(&name) => {
                let firm = self.with_what_fits(&|spread| !spread.shares().contains_key(&name));
                self.keep(firm);
            }
            Party::Provider(name) => {
                self.unreliable.insert(name);
            }
            _ => {}
        }
    }

    pub(super) fn confirmed(
        &mut self,
        deal: Deal,
        result: Result<(), String>,
        out: &mut Vec<Output>,
    ) -> State {
        if let Err(why) = result {
            let root = self.demand.requester.clone();
            self.reason(&root, format!("what was held could not be confirmed: {why}"));
            self.release(&deal, out);
            return self.fail(out);
        }
        out.push(Output::Finished(Outcome::Agreed(Box::new(Arc::unwrap_or_clone(deal.agreement)))));
        State::Finished
    }

    pub(super) fn release(&mut self, deal: &Deal, out: &mut Vec<Output>) {
        let leases = deal.commitment.confirm.clone();
        if !leases.is_empty() {
            out.push(Output::Release { message: self.next_message(), leases });
        }
    }

    /// Requests the confirmation, even if no lease changes, because the agreement itself must be persisted.
    fn commit(&self, deal: Deal, out: &mut Vec<Output>) -> State {
        let commitment = Commitment::clone(&deal.commitment);
        let agreement = Box::new(Agreement::clone(&deal.agreement));
        out.push(Output::Confirm { message: deal.message, commitment, agreement });
        State::Confirming(deal)
    }
}
