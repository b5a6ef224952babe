//! What was asked for is given up before it is over.

use std::{
    thread,
    time::{Duration, Instant},
};

use haggle_model::{Lease, LeaseId, LeaseState, Name, Owner, Timestamp};
use haggle_negotiate::{Ledger, MessageError, leased_replicas};
use haggle_store::Batch;
use serde_json::json;

use super::GRACE;
use crate::{
    documents::catalog::Catalog,
    error::HostError,
    events::EventKind,
    host::{Host, lock},
    negotiating::exchange::Waiting,
    persistence::{Standings, committing::Pending, keep_leases},
    state::Requested,
    views::TurnReport,
};

/// How long it is waited between two looks.
const PAUSE: Duration = Duration::from_millis(1);

impl Host {
    /// Gives up what a scaling request asked for: its negotiations end, and what was agreed is given back as
    /// far as it is not over. The second time changes nothing.
    ///
    /// # Errors
    /// [`HostError::NotFound`], or [`HostError::Message`] where what has been agreed is not carried out within
    /// ten seconds.
    pub fn give_up_scaling(&self, id: &str) -> Result<(), HostError> {
        for negotiation in self.negotiations_of(id)? {
            for renewed in self.renewals(&negotiation) {
                self.cancel_session(&renewed)?;
            }
            if !self.cancel_session(&negotiation)? {
                self.give_back(&negotiation)?;
            }
        }
        Ok(())
    }

    /// The sessions in which something reserved is negotiated for again.
    fn renewals(&self, request: &str) -> Vec<String> {
        let waiting = lock(&self.waiting);
        let same = |waiting: &Waiting| waiting.asked.earlier.iter().any(|id| id == request);
        waiting.iter().filter(|(_, waiting)| same(waiting)).map(|(id, _)| id.clone()).collect()
    }

    /// Ends a session for a request; whether there was one. One that is just being opened, and what has been
    /// agreed and is not carried out yet, are waited for: then it can be ended, or given back.
    fn cancel_session(&self, id: &str) -> Result<bool, HostError> {
        let began = Instant::now();
        loop {
            if !lock(&self.waiting).get(id).is_some_and(|waiting| waiting.asked.is_request()) {
                return Ok(false);
            }
            let why = "the request was given up".to_owned();
            match self.with_engine(|engine, setting| engine.cancel(id, why, setting)) {
                Ok(effects) => {
                    let endings = self.carry_out_effects(effects)?;
                    self.conclude(endings)?;
                    return Ok(true);
                }
                Err(
                    MessageError::UnknownSession(_)
                    | MessageError::Confirming(_)
                    | MessageError::Finished(_),
                ) if began.elapsed() < GRACE => {
                    // It is written behind that.
                    self.persistence.commit(Batch::new())?;
                    thread::sleep(PAUSE);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Gives back what was agreed for a request, and negotiates for what is needed without it.
    fn give_back(&self, request: &str) -> Result<(), HostError> {
        let turning = lock(&self.turning);
        let now = self.clock.now();
        let catalog = self.catalog();
        let mut batch = Batch::new();
        let Some((holder, given_up)) = self.forget_request(request, &mut batch)? else {
            return Ok(());
        };
        let (count, effects) = self.with_engine(|engine, setting| {
            let negotiations = given_up.negotiations();
            let own = own_leases(setting.ledger, &negotiations, &holder);
            let mut released = setting.ledger.release(&own);
            released.extend(release_spare(setting.ledger, &catalog, &negotiations, now));
            // Written in the order in which it counts.
            keep_leases(&mut batch, &released)?;
            self.persistence.commit_lazy(batch)?;
            let count = released.len();
            Ok::<_, HostError>((
                count,
                engine.give_back(&given_up.negotiation, &holder, released, setting),
            ))
        })?;
        let mut pending = Pending::default();
        if let Ok(service) = catalog.service(&holder) {
            self.serve(&catalog, service, now, &mut pending, &mut TurnReport::default())?;
        }
        let submitted = self.submit(pending)?;
        drop(turning);
        self.carry_out(submitted)?;
        let endings = self.carry_out_effects(effects)?;
        self.conclude(endings)?;
        self.persistence.commit(Batch::new())?;
        let message = format!("what was asked for is given up: {count} lease(s) end");
        let detail = json!({ "negotiation": given_up.negotiation });
        self.emit(EventKind::Negotiation, holder.as_str(), message, detail);
        Ok(())
    }

    /// Forgets what was asked for and agreed, and says for which service and what it was.
    fn forget_request(
        &self,
        request: &str,
        batch: &mut Batch,
    ) -> Result<Option<(Name, Requested)>, HostError> {
        let is_it = |asked: &Requested| asked.negotiations().iter().any(|id| id == request);
        let mut states = self.states();
        let found = states.iter().find_map(|(name, state)| {
            let later = state.scheduled.iter().filter_map(|later| later.requested.as_ref());
            let mut all = state.requested.iter().chain(later);
            let found = all.find(|asked| is_it(asked) && !asked.load.is_zero())?;
            Some((name.clone(), found.clone()))
        });
        let Some((holder, given_up)) = found else { return Ok(None) };
        let negotiation = &given_up.negotiation;
        for (name, state) in states.iter_mut() {
            let count = state.scheduled.len();
            state.scheduled.retain(|later| later.negotiation != *negotiation);
            let later = state.scheduled.len() < count;
            if state.end_requests(|asked| asked.negotiation == *negotiation) || later {
                state.refused = None;
                batch.put::<Standings>(name, &state.stored())?;
            }
        }
        Ok(Some((holder, given_up)))
    }
}

/// What the service itself holds because of the negotiations.
fn own_leases(ledger: &Ledger, negotiations: &[String], holder: &Name) -> Vec<LeaseId> {
    let own = ledger.leases_of(holder).filter(|lease| {
        negotiations.contains(&lease.negotiation) && lease.state == LeaseState::Confirmed
    });
    own.map(|lease| lease.id.clone()).collect()
}

/// Releases what others have leased for later to keep their promises in it, as far as nothing else that they
/// have promised stands on that. What has begun they give back themselves when they do not need it.
fn release_spare(
    ledger: &mut Ledger,
    catalog: &Catalog,
    negotiations: &[String],
    now: Timestamp,
) -> Vec<Lease> {
    let later = ledger.leases().filter(|lease| {
        negotiations.contains(&lease.negotiation)
            && lease.state == LeaseState::Confirmed
            && lease.window.start > now
            && matches!(lease.owner, Owner::Unit { .. })
    });
    let later: Vec<Lease> = later.cloned().collect();
    let mut released = Vec::new();
    for lease in later {
        let Some(service) = catalog.services.get(&lease.holder) else { continue };
        let utilization = catalog.policy_of(service).scaling.target_utilization;
        let owner = Owner::Service(service.name.clone());
        let promised = ledger.committed(&owner, lease.window, &[]);
        let mut without = ledger.clone();
        without.release(std::slice::from_ref(&lease.id));
        let left = leased_replicas(&without, service, lease.window);
        if promised.is_zero() || left >= service.replicas_for(&promised, utilization) {
            released.extend(ledger.release(&[lease.id]));
        }
    }
    released
}

#[cfg(test)]
mod tests;
