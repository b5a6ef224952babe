//! A scaling request is cancelled: its negotiations end, and what was agreed is given back.

use std::sync::Arc;

use haggle_model::{Lease, LeaseId, LeaseState, Name, Owner};
use haggle_negotiate::leased_replicas;
use serde_json::json;

use crate::{
    ControlError, EventKind,
    request::Status,
    service::{Claim, Scheduled},
    step::Step,
    window::MOST_WINDOWS,
};

impl Step<'_> {
    /// Ends the negotiations of a request, and gives back what was agreed as far as it is not over. The second
    /// time changes nothing.
    pub(crate) fn cancel(&mut self, id: &str) -> Result<(), ControlError> {
        let not_found = || ControlError::not_found("scaling request", id);
        let request = self.state.requests.get(id).cloned().ok_or_else(not_found)?;
        let of = |purpose: &crate::session::Purpose| {
            purpose.origin.request().is_some_and(|(request, _)| request == id)
        };
        let open = self.state.sessions.iter().filter(|(_, purpose)| of(purpose));
        let open: Vec<String> = open.map(|(session, _)| session.clone()).collect();
        for session in open {
            let why = "the request was cancelled".to_owned();
            let effects =
                self.with_engine(|engine, setting| engine.cancel(&session, why, setting))?;
            self.carry_out(effects);
        }
        let mut count = 0;
        for (place, part) in request.parts.iter().enumerate().take(MOST_WINDOWS) {
            if matches!(part.status, Status::Cancelled(_)) {
                continue;
            }
            // A negotiation that was open above may have been a renewal: all that is known of it counts.
            let sessions = self.state.requests.get(id).and_then(|r| r.parts.get(place));
            let sessions = sessions.map(|part| part.sessions.clone()).unwrap_or_default();
            count += self.give_back(&request.service, id, place, &sessions);
        }
        if let Some(request) = self.state.requests.get_mut(id).map(Arc::make_mut) {
            for part in &mut request.parts {
                part.status = match std::mem::replace(&mut part.status, Status::Open) {
                    Status::Done(verdict) => Status::Cancelled(Some(verdict)),
                    Status::Open => Status::Cancelled(None),
                    cancelled => cancelled,
                };
            }
        }
        self.conclude(id);
        self.reconcile_service(&request.service);
        let message = format!("scaling request {id} is cancelled: {count} lease(s) end");
        let detail = json!({ "negotiation": id });
        self.publish(EventKind::Negotiation, request.service.as_str(), message, detail);
        Ok(())
    }

    /// Gives back what was agreed for a window of a request. Returns how many leases end.
    fn give_back(
        &mut self,
        holder: &Name,
        request: &str,
        part: usize,
        sessions: &[String],
    ) -> usize {
        let is_it = |claim: &Claim| claim.is_of(request, part);
        let has = |later: &Scheduled| later.claim.as_ref().is_some_and(is_it);
        let last = sessions.last();
        self.unschedule(|later| has(later) || Some(&later.session) == last);
        let concerned = self.state.services.iter();
        let concerned = concerned.filter(|(_, state)| state.claims.iter().any(is_it));
        let names: Vec<Name> = concerned.map(|(name, _)| name.clone()).collect();
        for name in names {
            if let Some(state) = self.state.service_mut(&name) {
                state.end_claims(is_it);
                state.refusal = None;
            }
            self.keep(&name);
        }
        if let Some(state) = self.state.service_mut(holder) {
            state.refusal = None;
        }
        let mut released = self.release_of(holder, sessions);
        released.extend(self.release_spare(sessions));
        let count = released.len();
        if let Some(session) = last {
            let effects = self.with_engine(|engine, setting| {
                engine.give_back(session, holder, released, setting)
            });
            self.carry_out(effects);
        }
        count
    }

    /// Releases what the holder itself has leased in these negotiations.
    pub(crate) fn release_of(&mut self, holder: &Name, sessions: &[String]) -> Vec<Lease> {
        let own = self.state.ledger.leases_of(holder).filter(|lease| {
            sessions.contains(&lease.negotiation) && lease.state == LeaseState::Confirmed
        });
        let own: Vec<LeaseId> = own.map(|lease| lease.id.clone()).collect();
        let released = self.state.ledger.release(&own);
        self.keep_leases(&released);
        released
    }

    /// Releases what others have leased for later to keep their promises in these negotiations, as far as
    /// nothing else that they have promised stands on that. What has begun they give back themselves.
    fn release_spare(&mut self, sessions: &[String]) -> Vec<Lease> {
        let later = self.state.ledger.leases().filter(|lease| {
            sessions.contains(&lease.negotiation)
                && lease.state == LeaseState::Confirmed
                && lease.window.start > self.now
                && matches!(lease.owner, Owner::Unit { .. })
        });
        let later: Vec<Lease> = later.cloned().collect();
        let mut released = Vec::new();
        for lease in later {
            let Some((service, policy)) = self.described(&lease.holder) else { continue };
            let utilization = policy.scaling.target_utilization;
            let owner = Owner::Service(service.name.clone());
            let promised = self.state.ledger.committed(&owner, lease.window, &[]);
            let mut without = self.state.ledger.clone();
            without.release(std::slice::from_ref(&lease.id));
            let left = leased_replicas(&without, &service, lease.window);
            if promised.is_zero() || left >= service.replicas_for(&promised, utilization) {
                released.extend(self.state.ledger.release(&[lease.id]));
            }
        }
        self.keep_leases(&released);
        released
    }
}
