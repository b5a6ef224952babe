//! The gate: requests to scale from outside.

use std::{sync::mpsc, time::Duration};

use haggle_model::{Owner, Quantities, ScalingReason, Service, Window};
use haggle_negotiate::Purpose;
use haggle_store::Batch;

use crate::{
    applying::{Asked, Origin},
    catalog::not_found,
    committing::Pending,
    error::HostError,
    exchange::Waiting,
    host::{Host, lock},
    negotiating::Wish,
    views::{ScalingProgress, ScalingRequest, ScalingVerdict},
};

/// A scaling request that is being negotiated.
#[derive(Debug)]
pub struct ScalingTicket {
    /// The negotiation, and the request's own id.
    pub negotiation: String,
    verdict: mpsc::Receiver<ScalingVerdict>,
    patience: Duration,
}

/// How much longer than a session's deadline its end may take to arrive.
const GRACE: Duration = Duration::from_secs(10);

impl ScalingTicket {
    /// Waits until the negotiation has ended, which its deadline sees to.
    ///
    /// # Errors
    /// [`HostError::Task`] where the host could not conclude it.
    pub fn wait(self) -> Result<ScalingVerdict, HostError> {
        self.verdict.recv_timeout(self.patience).map_err(|_| {
            HostError::Task(format!("negotiation {} was not concluded", self.negotiation))
        })
    }
}

impl Host {
    /// Answers a request to scale: negotiates, and scales what was agreed.
    ///
    /// # Errors
    /// [`HostError`] where the request makes no sense. A denial is no error.
    pub fn request_scaling(&self, request: ScalingRequest) -> Result<ScalingVerdict, HostError> {
        self.begin_scaling(request)?.wait()
    }

    /// Begins to negotiate for a request to scale. Where everybody is answered for in this process it has
    /// ended by then.
    ///
    /// # Errors
    /// [`HostError`] where the request makes no sense.
    pub fn begin_scaling(&self, request: ScalingRequest) -> Result<ScalingTicket, HostError> {
        let arrived = self.clock.now();
        let turning = lock(&self.turning);
        let now = self.clock.now();
        let catalog = self.catalog();
        let service = catalog.service(&request.service)?;
        let mut policy = catalog.policy_of(service).as_ref().clone();
        if let Some(lease) = request.lease {
            policy.negotiation.hold_for(lease);
        }
        if let Some(deadline) = request.deadline {
            policy.negotiation.deadline = deadline;
        }
        let load = requested_load(&request, service, policy.scaling.target_utilization)?;
        let from = self.status(&service.name).unwrap_or_default().desired;
        let mut states = self.states();
        let mut ledger = self.ledger();
        let window = Window::new(now, policy.negotiation.lease);
        let promised = ledger.committed(&Owner::Service(service.name.clone()), window, &[]);
        let load = load.minus(&promised);
        let wish = Wish { service, policy: &policy, load, purpose: Purpose::Growth, window };
        let (number, mut demand) = self.demand(wish, now)?;
        demand.dry_run = request.dry_run;
        if self.clock.is_real() {
            // To wait for its turn is a part of it.
            demand.started_at = arrived;
        }
        let (answer, verdict) = mpsc::sync_channel(1);
        let ticket = ScalingTicket {
            negotiation: demand.session.clone(),
            verdict,
            patience: Duration::from(policy.negotiation.deadline) + GRACE,
        };
        let asked = Asked {
            wanted: service.replicas_for(&demand.load, policy.scaling.target_utilization),
            from,
            reason: ScalingReason::Request,
            bound: None,
            explanation: "asked for through the API".to_owned(),
            load: None,
            origin: Origin::Request { goes_on: request.lease.is_none() },
        };
        if catalog.asks_others(&service.name) {
            drop(ledger);
            drop(states);
            drop(turning);
            let waiting = Waiting { number, demand, asked, answer: Some(answer), ended: false };
            let endings = self.open_session(waiting)?;
            self.conclude(endings)?;
            return Ok(ticket);
        }
        if request.dry_run {
            let mut copy = ledger.clone();
            let session = self.negotiate(&catalog, &states, &mut copy, (number, demand), now)?;
            drop(answer.send(session.verdict(from)));
            return Ok(ticket);
        }
        let session = self.negotiate(&catalog, &states, &mut ledger, (number, demand), now)?;
        drop(ledger);
        let verdict = session.verdict(from);
        let asked = Asked { wanted: verdict.to, ..asked };
        let mut pending = Pending::default();
        self.settle(&session, &verdict, asked, now, &mut states, &mut pending)?;
        drop(states);
        let submitted = self.submit(pending)?;
        drop(turning);
        self.carry_out(submitted)?;
        self.serve_losers(&verdict);
        drop(answer.send(verdict));
        Ok(ticket)
    }

    /// Begins to negotiate for a request to scale, and says where that stands once it is on disk: a crash
    /// from then on may end it, but not let it be forgotten.
    ///
    /// # Errors
    /// [`HostError`] where the request makes no sense or the store fails.
    pub fn accept_scaling(&self, request: ScalingRequest) -> Result<ScalingProgress, HostError> {
        let id = self.begin_scaling(request)?.negotiation;
        // Behind its record, since all is written in order.
        self.persistence.commit(Batch::new())?;
        self.scaling_request(&id)
    }

    /// What has become of a scaling request.
    ///
    /// # Errors
    /// [`HostError::NotFound`]; old ones are forgotten.
    pub fn scaling_request(&self, id: &str) -> Result<ScalingProgress, HostError> {
        if lock(&self.waiting).contains_key(id) {
            return Ok(ScalingProgress {
                negotiation: id.to_owned(),
                pending: true,
                verdict: None,
            });
        }
        let unknown = || not_found("scaling request", id);
        let mut record = self.negotiation(id).map_err(|_| unknown())?;
        let verdict = record.get_mut("verdict").map(serde_json::Value::take).ok_or_else(unknown)?;
        let verdict = serde_json::from_value(verdict).map_err(|_| unknown())?;
        Ok(ScalingProgress { negotiation: id.to_owned(), pending: false, verdict: Some(verdict) })
    }
}

fn requested_load(
    request: &ScalingRequest,
    service: &Service,
    utilization: f64,
) -> Result<Quantities, HostError> {
    match (request.replicas, &request.load) {
        (Some(replicas), None) => Ok(service.carries(replicas).scaled(utilization)),
        (None, Some(load)) if !load.is_zero() => Ok(load.clone()),
        _ => Err(HostError::Unclear),
    }
}

#[cfg(test)]
mod tests;
