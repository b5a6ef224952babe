//! Cancels scaling requests: ends their negotiations and releases what was agreed.

use std::{ops::Range, sync::Arc};

use haggle_model::{Lease, LeaseId, LeaseState, Name, Owner};
use haggle_negotiate::leased_replicas;
use serde_json::json;

use crate::{
    ControlError, EventKind,
    purpose::Purpose,
    request::{Part, Request, Status},
    restore::number,
    service::{Claim, Scheduled},
    step::Step,
};

impl Step<'_> {
    /// Cancels the negotiations of a request, or of one window of it, and releases the agreed leases that
    /// have not ended. The operation is idempotent.
    pub(crate) fn cancel(&mut self, id: &str) -> Result<(), ControlError> {
        let Some((request, places)) = self.cancellable(id) else {
            // A request that is over exists only as a record.
            let kept = number(id).filter(|number| self.id_of(*number) == id);
            let is_over = kept.is_some_and(|number| self.state.kept.contains(&number));
            return if is_over {
                Ok(())
            } else {
                Err(ControlError::not_found("scaling request", id))
            };
        };
        let of = |purpose: &Purpose| {
            let part = purpose.origin.request().filter(|(of, _)| *of == request.id);
            part.is_some_and(|(_, place)| places.contains(&place))
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
        for place in places {
            count += self.cancel_part(&request.id, &request.service, place);
        }
        self.conclude(&request.id);
        self.reconcile_service(&request.service);
        let message = format!("scaling request {id} is cancelled: {count} lease(s) end");
        let detail = json!({ "negotiation": id });
        self.publish(EventKind::Negotiation, request.service.as_str(), message, detail);
        Ok(())
    }

    /// Finds a request by its id, with all its windows, or by the id of a negotiation, with that one
    /// window.
    fn cancellable(&self, id: &str) -> Option<(Arc<Request>, Range<usize>)> {
        if let Some(request) = self.state.requests.get(id) {
            return Some((Arc::clone(request), 0..request.parts.len()));
        }
        self.state.requests.values().find_map(|request| {
            let of = |part: &Part| part.sessions.iter().any(|session| session == id);
            let place = request.parts.iter().position(of)?;
            Some((Arc::clone(request), place..place + 1))
        })
    }

    /// Cancels one window. Returns the number of leases that end.
    fn cancel_part(&mut self, id: &str, service: &Name, place: usize) -> usize {
        // An open negotiation may have been a renewal. The request knows everything that was agreed.
        let Some(request) = self.state.requests.get_mut(id).map(Arc::make_mut) else { return 0 };
        let Some(part) = request.parts.get_mut(place) else { return 0 };
        part.status = match std::mem::replace(&mut part.status, Status::Open) {
            Status::Cancelled(verdict) => {
                part.status = Status::Cancelled(verdict);
                return 0;
            }
            Status::Done(verdict) => Status::Cancelled(Some(verdict)),
            Status::Open => Status::Cancelled(None),
        };
        let sessions = part.sessions.clone();
        self.give_back(service, id, place, &sessions)
    }

    /// Releases what was agreed for one window of a request. Returns the number of leases that end.
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
        let mut released = self.release_of(holder, sessions, &[]);
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

    /// Releases the leases that the holder itself got in these negotiations, except those in `but`.
    pub(crate) fn release_of(
        &mut self,
        holder: &Name,
        sessions: &[String],
        but: &[LeaseId],
    ) -> Vec<Lease> {
        let own = self.state.ledger.leases_of(holder).filter(|lease| {
            let of = sessions.contains(&lease.negotiation) && !but.contains(&lease.id);
            of && lease.state == LeaseState::Confirmed
        });
        let own: Vec<LeaseId> = own.map(|lease| lease.id.clone()).collect();
        let released = self.state.ledger.release(&own);
        self.keep_leases(&released);
        released
    }

    /// Releases the future leases that other services got in these negotiations to keep their promises,
    /// unless another promise depends on them. Those services release leases that have begun themselves.
    pub(crate) fn release_spare(&mut self, sessions: &[String]) -> Vec<Lease> {
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
