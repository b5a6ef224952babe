//! What was asked for is given up before it is over.

use haggle_model::{Lease, LeaseId, LeaseState, Name, Owner, Timestamp};
use haggle_negotiate::{Ledger, MessageError, leased_replicas};
use haggle_store::Batch;
use serde_json::json;

use crate::{
    catalog::Catalog,
    committing::Pending,
    error::HostError,
    events::EventKind,
    host::{Host, lock},
    persistence::{Standings, keep_leases},
    views::TurnReport,
};

impl Host {
    /// Gives up what a scaling request asked for: its negotiations end, and what was agreed is given back as
    /// far as it is not over. The second time changes nothing.
    ///
    /// # Errors
    /// [`HostError::NotFound`], or [`HostError::Message`] while it is being confirmed.
    pub fn give_up_scaling(&self, id: &str) -> Result<(), HostError> {
        for negotiation in self.negotiations_of(id)? {
            if !self.cancel_session(&negotiation)? {
                self.give_back(&negotiation)?;
            }
        }
        Ok(())
    }

    /// Ends a session for a request; whether there was one.
    fn cancel_session(&self, id: &str) -> Result<bool, HostError> {
        let waiting = lock(&self.waiting);
        if !waiting.get(id).is_some_and(|waiting| waiting.asked.is_request()) {
            return Ok(false);
        }
        drop(waiting);
        let why = "the request was given up".to_owned();
        let effects = match self.with_engine(|engine, setting| engine.cancel(id, why, setting)) {
            Err(MessageError::Finished(_)) if !lock(&self.waiting).contains_key(id) => {
                return Ok(false);
            }
            effects => effects?,
        };
        let endings = self.carry_out_effects(effects)?;
        self.conclude(endings)?;
        Ok(true)
    }

    /// Gives back what was agreed in a negotiation for a request, and negotiates for what is needed without it.
    fn give_back(&self, negotiation: &str) -> Result<(), HostError> {
        let turning = lock(&self.turning);
        let now = self.clock.now();
        let catalog = self.catalog();
        let mut batch = Batch::new();
        let Some(holder) = self.forget_request(negotiation, &mut batch)? else { return Ok(()) };
        let (count, effects) = self.with_engine(|engine, setting| {
            let own = own_leases(setting.ledger, negotiation, &holder);
            let mut released = setting.ledger.release(&own);
            released.extend(release_spare(setting.ledger, &catalog, negotiation, now));
            // Written in the order in which it counts.
            keep_leases(&mut batch, &released)?;
            self.persistence.commit_lazy(batch)?;
            let count = released.len();
            Ok::<_, HostError>((count, engine.give_back(negotiation, &holder, released, setting)))
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
        let detail = json!({ "negotiation": negotiation });
        self.emit(EventKind::Negotiation, holder.as_str(), message, detail);
        Ok(())
    }

    /// Forgets what was asked for and agreed, and says for which service.
    fn forget_request(
        &self,
        negotiation: &str,
        batch: &mut Batch,
    ) -> Result<Option<Name>, HostError> {
        let mut states = self.states();
        let holder = states.iter().find(|(_, state)| {
            let later = state.scheduled.iter().filter(|later| later.negotiation == negotiation);
            let mut requested = later.filter_map(|later| later.requested.as_ref());
            let begun = state.requested.iter().find(|old| old.negotiation == negotiation);
            begun.or_else(|| requested.next()).is_some_and(|request| !request.load.is_zero())
        });
        let Some(holder) = holder.map(|(name, _)| name.clone()) else { return Ok(None) };
        for (name, state) in states.iter_mut() {
            let count = state.scheduled.len();
            state.scheduled.retain(|later| later.negotiation != negotiation);
            let later = state.scheduled.len() < count;
            if state.end_requests(|requested| requested.negotiation == negotiation) || later {
                state.refused = None;
                batch.put::<Standings>(name, &state.stored())?;
            }
        }
        Ok(Some(holder))
    }
}

/// What the service itself holds because of the negotiation.
fn own_leases(ledger: &Ledger, negotiation: &str, holder: &Name) -> Vec<LeaseId> {
    let own = ledger
        .leases_of(holder)
        .filter(|lease| lease.negotiation == negotiation && lease.state == LeaseState::Confirmed);
    own.map(|lease| lease.id.clone()).collect()
}

/// Releases what others have leased for later to keep their promises in it, as far as nothing else that they
/// have promised stands on that. What has begun they give back themselves when they do not need it.
fn release_spare(
    ledger: &mut Ledger,
    catalog: &Catalog,
    negotiation: &str,
    now: Timestamp,
) -> Vec<Lease> {
    let later = ledger.leases().filter(|lease| {
        lease.negotiation == negotiation
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
