//! What follows from an agreement: its record, and decisions about every service in it.

use std::collections::BTreeMap;

use haggle_model::{
    Bound, Decision, Lease, LeaseState, Name, Quantities, ScalingReason, Span, Timestamp,
};
use haggle_negotiate::{Agreement, leased_replicas};
use haggle_plan::Need;
use serde::{Deserialize, Serialize};

use crate::{
    error::HostError,
    host::Host,
    negotiating::Session,
    persistence::{Standings, committing::Pending},
    state::{Agreed, Refused, Requested, Scheduled, ServiceState},
    views::{ScalingVerdict, Verdict},
};

/// So many turns pass before a refusal is put to the test again.
const RETRY: u64 = 5;

/// What was wanted of the requester, and why.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) wanted: u32,
    /// How many replicas it had.
    pub(crate) from: u32,
    pub(crate) reason: ScalingReason,
    pub(crate) bound: Option<Bound>,
    pub(crate) explanation: String,
    /// The load that is not asked for again at once if it is refused.
    pub(crate) load: Option<Quantities>,
    #[serde(default)]
    pub(crate) origin: Origin,
    /// The negotiations in which the same was agreed before, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) earlier: Vec<String>,
}

/// Who wants it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Origin {
    /// The host, which has worked out what is needed.
    #[default]
    Need,
    /// Somebody outside; see [`Requested::goes_on`].
    Request {
        goes_on: bool,
        /// For a later time, so that it says nothing of now.
        #[serde(default)]
        later: bool,
    },
}

impl From<Need> for Asked {
    fn from(need: Need) -> Self {
        let Need { replicas, reason, bound, explanation, .. } = need;
        Self {
            wanted: replicas,
            from: 0,
            reason,
            bound,
            explanation,
            load: None,
            origin: Origin::Need,
            earlier: Vec::new(),
        }
    }
}

impl Host {
    /// What follows from the end of a negotiation.
    pub(crate) fn settle(
        &self,
        session: &Session,
        verdict: &ScalingVerdict,
        asked: Asked,
        now: Timestamp,
        states: &mut BTreeMap<Name, ServiceState>,
        pending: &mut Pending,
    ) -> Result<(), HostError> {
        if let Some(state) = states.get_mut(&session.demand.requester)
            && let Some(load) = asked.load.clone()
        {
            let retry = Span::from_millis(self.interval.as_millis().saturating_mul(RETRY));
            let refused = verdict.verdict != Verdict::Approved;
            state.refused = refused.then(|| Refused { load, until: now + retry });
        }
        self.keep_session(pending, session, now, verdict)?;
        let Some(agreement) = session.negotiated.outcome.agreement() else { return Ok(()) };
        self.mark_lost(agreement, &asked, states);
        if self.is_replaced(agreement) {
            return Ok(());
        }
        if session.window.start > now {
            return self.schedule(session, agreement, &asked, states, pending);
        }
        apply(session, agreement, &asked, now, states, pending)
    }

    /// Whether a later agreement, or its end, has come before what follows from this one.
    fn is_replaced(&self, agreement: &Agreement) -> bool {
        let ledger = self.ledger();
        let stands = |lease: &Lease| lease.state == LeaseState::Confirmed;
        let mut leases = agreement.leases.iter().map(|id| ledger.lease(id));
        !agreement.leases.is_empty() && !leases.any(|lease| lease.is_some_and(stands))
    }

    /// Takes up what was agreed for now at an earlier time, as far as it is not over by now.
    pub(crate) fn take_up_scheduled(
        &self,
        now: Timestamp,
        pending: &mut Pending,
    ) -> Result<(), HostError> {
        for (name, state) in self.states().iter_mut() {
            let (due, later): (Vec<_>, _) =
                state.scheduled.drain(..).partition(|scheduled| scheduled.at <= now);
            state.scheduled = later;
            let changed = !due.is_empty();
            let here = due.into_iter().filter(|due| due.until.is_none_or(|until| now < until));
            for Scheduled { replicas, load, negotiation, agreed, requested, .. } in here {
                let to = state.replicas.max(replicas);
                state.agreed = agreed.or(state.agreed.take());
                let before = state.underlying();
                let requested = requested.map(|requested| Requested { before, ..requested });
                state.requested.extend(requested);
                let from = std::mem::replace(&mut state.replicas, to);
                let explanation = "agreed earlier, for a window that begins now".to_owned();
                if from != to {
                    pending.decisions.push(Decision {
                        sequence: 0,
                        at: now,
                        service: name.clone(),
                        from,
                        to,
                        wanted: replicas,
                        reason: ScalingReason::Request,
                        load,
                        bound: None,
                        negotiation: Some(negotiation),
                        explanation,
                    });
                }
            }
            if changed {
                pending.batch.put::<Standings>(name, &state.stored())?;
            }
        }
        Ok(())
    }

    /// Negotiates for those who lost a lease to the agreement, while their notice runs.
    pub(crate) fn serve_losers(&self, verdict: &ScalingVerdict) {
        let borrows = |agreement: &Agreement| !agreement.borrowed.is_empty();
        if !verdict.dry_run && verdict.agreement.as_ref().is_some_and(borrows) {
            self.serve_lost();
        }
    }

    /// Whoever lost a lease to this agreement has to negotiate for another.
    fn mark_lost(
        &self,
        agreement: &Agreement,
        asked: &Asked,
        states: &mut BTreeMap<Name, ServiceState>,
    ) {
        if !asked.is_for_later()
            && let Some(state) = states.get_mut(&agreement.requester)
        {
            state.lost = false;
        }
        if agreement.borrowed.is_empty() {
            return;
        }
        let ledger = self.ledger();
        for lease in agreement.borrowed.iter().filter_map(|id| ledger.lease(id)) {
            if let Some(state) = states.get_mut(&lease.holder) {
                state.lose();
            }
        }
    }

    /// Notes what is to be done when the window of the agreement begins, in place of what was noted before for
    /// the same request.
    fn schedule(
        &self,
        session: &Session,
        agreement: &Agreement,
        asked: &Asked,
        states: &mut BTreeMap<Name, ServiceState>,
        pending: &mut Pending,
    ) -> Result<(), HostError> {
        let (catalog, ledger) = (self.catalog(), self.ledger());
        let before = asked.earlier.last();
        let mut replaced: BTreeMap<Name, Scheduled> = BTreeMap::new();
        for (name, state) in states.iter_mut() {
            let same = |old: &mut Scheduled| Some(&old.negotiation) == before;
            let old: Vec<Scheduled> = state.scheduled.extract_if(.., same).collect();
            if let Some(old) = old.into_iter().next() {
                replaced.insert(name.clone(), old);
                pending.batch.put::<Standings>(name, &state.stored())?;
            }
        }
        for (name, agreed) in &agreement.services {
            let Some(state) = states.get_mut(name) else { continue };
            let own = *name == agreement.requester;
            let old = replaced.get(name);
            let load = match old.and_then(|old| old.requested.as_ref()) {
                _ if !own => Quantities::new(),
                // Where less is to be had by now, what was reserved is still wanted.
                Some(reserved) => reserved.load.max(&agreed.load),
                None => agreed.load.clone(),
            };
            let requested = asked.requested(session, load, 0);
            let goes_on = requested.as_ref().is_some_and(|requested| requested.goes_on);
            let service = catalog.services.get(name);
            let leased = service.map_or(0, |s| leased_replicas(&ledger, s, session.window));
            state.scheduled.push(Scheduled {
                at: session.window.start,
                until: (!goes_on).then_some(session.window.end),
                replicas: agreed.replicas,
                leased: old.map_or(leased, |old| old.leased.max(leased)),
                load: agreed.load.clone(),
                negotiation: session.id.clone(),
                again: old.map_or(Timestamp::default(), |old| old.again),
                agreed: own.then(|| session.agreed(&agreed.load)),
                requested: requested.filter(|requested| own || !requested.goes_on),
            });
            if own && !asked.is_for_later() {
                // Until then there is no more to be had.
                let load = asked.load.clone().unwrap_or_else(|| agreed.load.clone());
                state.refused = Some(Refused { load, until: session.window.start });
            }
            pending.batch.put::<Standings>(name, &state.stored())?;
        }
        Ok(())
    }
}

/// Turns an agreement into decisions about every service in it.
fn apply(
    session: &Session,
    agreement: &Agreement,
    asked: &Asked,
    now: Timestamp,
    states: &mut BTreeMap<Name, ServiceState>,
    pending: &mut Pending,
) -> Result<(), HostError> {
    let requester = &agreement.requester;
    for (name, agreed) in &agreement.services {
        let Some(state) = states.get_mut(name) else { continue };
        let own = name == requester;
        if own {
            state.agreed = Some(session.agreed(&agreed.load));
            state.back_to = None;
        }
        let before = state.underlying();
        match asked.requested(session, agreed.load.clone(), before) {
            Some(requested) if own => state.request(requested),
            Some(requested) if !requested.goes_on => {
                state.requested.push(Requested { load: Quantities::new(), ..requested });
            }
            _ => {}
        }
        // A dependency is raised to what it has promised; what it gives back it decides itself.
        // Nor does a requester that gets less than it asked for end up with fewer than it has.
        let kept = if own { state.replicas.min(asked.wanted) } else { state.replicas };
        let keeps = !own || agreement.reduced;
        let to = if keeps { agreed.replicas.max(kept) } else { agreed.replicas };
        let from = std::mem::replace(&mut state.replicas, to);
        if from == to {
            // Who is scaled is written with the decision.
            if own || asked.is_request() {
                pending.batch.put::<Standings>(name, &state.stored())?;
            }
            continue;
        }
        let reduced = own && agreement.reduced;
        let explanation = if own {
            asked.explanation.clone()
        } else {
            format!("{requester} will ask for {}", agreed.load)
        };
        pending.decisions.push(Decision {
            sequence: 0,
            at: now,
            service: name.clone(),
            from,
            to,
            wanted: if own { asked.wanted } else { agreed.replicas },
            reason: if own { asked.reason } else { ScalingReason::Dependency },
            load: agreed.load.clone(),
            bound: if reduced { Some(Bound::Negotiation) } else { asked.bound.filter(|_| own) },
            negotiation: Some(session.id.clone()),
            explanation,
        });
    }
    Ok(())
}

impl Session {
    fn agreed(&self, load: &Quantities) -> Agreed {
        let renew_before = self.demand.policy.renew_before;
        Agreed { load: load.clone(), until: self.window.end, renew_before }
    }
}

impl Asked {
    fn requested(&self, session: &Session, load: Quantities, before: u32) -> Option<Requested> {
        let Origin::Request { goes_on, .. } = self.origin else { return None };
        let (negotiation, window) = (session.id.clone(), session.window);
        let earlier = self.earlier.clone();
        Some(Requested { negotiation, earlier, load, window, goes_on, before })
    }

    /// Whether somebody asked for it.
    pub(crate) const fn is_request(&self) -> bool {
        matches!(self.origin, Origin::Request { .. })
    }

    /// Whether somebody asked for it until a certain time.
    pub(crate) const fn is_definite(&self) -> bool {
        matches!(self.origin, Origin::Request { goes_on: false, .. })
    }

    const fn is_for_later(&self) -> bool {
        matches!(self.origin, Origin::Request { later: true, .. })
    }
}
