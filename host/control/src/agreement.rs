//! Turns an agreement into a decision now, or into a scheduled change, for each of its services.

use std::collections::BTreeMap;

use haggle_model::{Bound, Lease, LeaseState, Name, Owner, Quantities, ScalingReason, Timestamp};
use haggle_negotiate::{Agreement, leased_replicas};

use crate::{
    order::Order,
    purpose::{Asked, Origin},
    service::{Agreed, Claim, Refusal, Scheduled},
    session::Ended,
    step::Step,
};

impl Step<'_> {
    /// Applies the result of a negotiation that is not a dry run.
    pub(crate) fn settle(&mut self, ended: &Ended, asked: &Asked, origin: &Origin) {
        let Some(agreement) = ended.outcome.agreement() else { return };
        self.mark_lost(agreement, ended);
        if self.is_void(agreement) {
            return;
        }
        if ended.window.start > self.now {
            self.schedule(ended, agreement, origin);
        } else {
            self.apply_agreement(ended, agreement, asked, origin);
            self.note_uncovered(agreement);
        }
    }

    /// A dependency can end up with fewer leased replicas than it has, if its need grew during the
    /// negotiation. It negotiates for the rest at once.
    fn note_uncovered(&mut self, agreement: &Agreement) {
        for name in agreement.services.keys().filter(|name| **name != agreement.requester) {
            let Some((service, _)) = self.described(name) else { continue };
            let Some(leased) = self.leased(&service) else { continue };
            let Some(state) = self.state.service_mut(name) else { continue };
            if leased < state.replicas {
                state.lose();
                self.keep(name);
                self.losers.insert(name.clone());
            }
        }
    }

    /// Whether all leases of the agreement have already ended because their capacity was reclaimed in the
    /// meantime.
    fn is_void(&self, agreement: &Agreement) -> bool {
        let ledger = &self.state.ledger;
        let stands = |lease: &Lease| lease.state == LeaseState::Confirmed;
        let mut leases = agreement.leases.iter().map(|id| ledger.lease(id));
        !agreement.leases.is_empty() && !leases.any(|lease| lease.is_some_and(stands))
    }

    /// Marks the services that lost a lease to this agreement; they must negotiate for another. The
    /// requester has a lease again.
    fn mark_lost(&mut self, agreement: &Agreement, ended: &Ended) {
        if ended.demand.window.start <= self.now
            && let Some(state) = self.state.service_mut(&agreement.requester)
            && state.lost
        {
            state.lost = false;
            self.keep(&agreement.requester);
        }
        let preempted = agreement.preempted.iter().filter_map(|id| self.state.ledger.lease(id));
        let lost: Vec<Lease> = preempted.cloned().collect();
        self.note_lost(&lost);
    }

    /// Schedules the changes that take effect when the window of the agreement begins. They replace earlier
    /// changes scheduled for the same window of the same request.
    fn schedule(&mut self, ended: &Ended, agreement: &Agreement, origin: &Origin) {
        let same = |old: &Scheduled| match (origin, &old.claim) {
            (Origin::Renewal { id, part } | Origin::Amendment { id, part }, Some(claim)) => {
                claim.is_of(id, *part)
            }
            _ => false,
        };
        let mut replaced: BTreeMap<Name, Scheduled> = BTreeMap::new();
        if matches!(origin, Origin::Renewal { .. } | Origin::Amendment { .. }) {
            replaced = self.unschedule(same);
        }
        for (name, agreed) in &agreement.services {
            let Some((service, _)) = self.described(name) else { continue };
            let own = *name == agreement.requester;
            let old = replaced.get(name).filter(|_| matches!(origin, Origin::Renewal { .. }));
            let load = match old.and_then(|old| old.claim.as_ref()) {
                _ if !own => Quantities::new(),
                // If less capacity is available now, the service still wants the amount that was reserved.
                Some(reserved) => reserved.load.max(&agreed.load),
                None => agreed.load.clone(),
            };
            let claim = self.claim_of(origin, ended, load, 0);
            let open_ended = claim.as_ref().is_some_and(|claim| claim.open_ended);
            let leased = leased_replicas(&self.state.ledger, &service, ended.window);
            let scheduled = Scheduled {
                at: ended.window.start,
                until: (!open_ended).then_some(ended.window.end),
                replicas: agreed.replicas,
                leased: old.map_or(leased, |old| old.leased.max(leased)),
                load: agreed.load.clone(),
                session: ended.id.clone(),
                again: old.map_or(Timestamp::default(), |old| old.again),
                agreed: own.then(|| ended.agreed(&agreed.load)),
                claim: claim.filter(|claim| own || !claim.open_ended),
            };
            let refusal = match origin {
                // No more capacity is available before the window begins.
                Origin::Target { load } if own => {
                    Some(Refusal { load: load.clone(), until: ended.window.start })
                }
                _ => None,
            };
            let Some(state) = self.state.service_mut(name) else { continue };
            state.scheduled.push(scheduled);
            if refusal.is_some() {
                state.refusal = refusal;
            }
            self.keep(name);
        }
    }

    /// Removes the scheduled changes that match `which`. Returns the first of each service.
    pub(crate) fn unschedule(
        &mut self,
        which: impl Fn(&Scheduled) -> bool,
    ) -> BTreeMap<Name, Scheduled> {
        let concerned = self.state.services.iter();
        let concerned = concerned.filter(|(_, state)| state.scheduled.iter().any(&which));
        let names: Vec<Name> = concerned.map(|(name, _)| name.clone()).collect();
        let mut found = BTreeMap::new();
        for name in names {
            if let Some(state) = self.state.service_mut(&name) {
                let old: Vec<Scheduled> =
                    state.scheduled.extract_if(.., |later| which(later)).collect();
                found.extend(old.into_iter().next().map(|first| (name.clone(), first)));
            }
            self.keep(&name);
        }
        found
    }

    /// Turns an agreement into decisions for every service in it.
    fn apply_agreement(
        &mut self,
        ended: &Ended,
        agreement: &Agreement,
        asked: &Asked,
        origin: &Origin,
    ) {
        let requester = &agreement.requester;
        for (name, agreed) in &agreement.services {
            let own = name == requester;
            let Some(before) = self.state.services.get(name).map(|state| state.underlying()) else {
                continue;
            };
            let claim = self.claim_of(origin, ended, agreed.load.clone(), before);
            // Leases beyond the need are no reason to scale a service out.
            let needed = match own {
                true => asked.wanted,
                false => self.needed(name),
            };
            let Some(state) = self.state.service_mut(name) else { continue };
            let agreed_replicas = agreed.replicas.min(needed.max(state.replicas));
            if own {
                state.agreed = Some(ended.agreed(&agreed.load));
                state.return_to = None;
            }
            match claim {
                Some(claim) if own => {
                    state.claims.retain(|old| !old.is_of(&claim.request, claim.part));
                    state.claim(claim);
                }
                Some(claim) if !claim.open_ended => {
                    state.claims.retain(|old| !old.is_of(&claim.request, claim.part));
                    state.claims.push(Claim { load: Quantities::new(), ..claim });
                }
                _ => {}
            }
            // A dependency is raised to the load that it has promised, and decides itself how much it
            // releases. A requester that gets less than it requested keeps the replicas it has. A requester
            // that another agreement has raised in the meantime keeps them until its next reconcile.
            let raised = own && state.replicas > asked.from;
            let kept = match own && !raised {
                true => state.replicas.min(asked.wanted),
                false => state.replicas,
            };
            let less = agreement.reduced || agreed.replicas < asked.wanted;
            let keeps = !own || raised || less;
            let to = if keeps { agreed_replicas.max(kept) } else { agreed_replicas };
            if own || origin.request().is_some() {
                self.keep(name);
            }
            let reduced = own && agreement.reduced;
            self.order(
                name,
                Order {
                    to,
                    wanted: if own { asked.wanted } else { agreed_replicas },
                    reason: if own { asked.reason } else { ScalingReason::Dependency },
                    lasting: asked.reason != ScalingReason::Request && origin.request().is_none(),
                    load: agreed.load.clone(),
                    bound: if reduced {
                        Some(Bound::Negotiation)
                    } else {
                        asked.bound.filter(|_| own)
                    },
                    negotiation: Some(ended.id.clone()),
                    explanation: if own {
                        asked.explanation.clone()
                    } else {
                        format!("{requester} will ask for {}", agreed.load)
                    },
                },
            );
        }
    }

    /// The number of replicas that a service needs for its planned load and for the load it has promised
    /// until a decision of the next pass could take effect.
    fn needed(&self, name: &Name) -> u32 {
        let Some((service, policy)) = self.described(name) else { return 0 };
        let owner = Owner::Service(name.clone());
        let promised = self.state.ledger.committed(&owner, self.ahead(&service), &[]);
        let planned = self.state.services.get(name).map(|state| &state.planned);
        let load = planned.map_or(promised.clone(), |planned| planned.max(&promised));
        service.replicas_for(&load, policy.scaling.target_utilization)
    }

    fn claim_of(
        &self,
        origin: &Origin,
        ended: &Ended,
        load: Quantities,
        before: u32,
    ) -> Option<Claim> {
        let (request, part) = origin.request()?;
        let definite = self.state.requests.get(request)?.parts.get(part)?.definite;
        let (request, session) = (request.to_owned(), ended.id.clone());
        let open_ended = !definite;
        Some(Claim { request, part, session, load, window: ended.window, open_ended, before })
    }
}

impl Ended {
    fn agreed(&self, load: &Quantities) -> Agreed {
        let renew_before = self.demand.policy.renew_before;
        Agreed { load: load.clone(), until: self.window.end, renew_before }
    }
}
