//! The gate: requests to scale from outside.

use std::{sync::mpsc, time::Duration};

use haggle_model::{Owner, ScalingReason, Service, Span, Timestamp, Window};
use haggle_negotiate::Purpose;
use haggle_store::Batch;

use crate::{
    documents::catalog::not_found,
    error::HostError,
    host::{Host, lock},
    negotiating::{
        Wish,
        applying::{Asked, Origin},
        exchange::{Waiting, has_to_wait},
    },
    persistence::{committing::Pending, negotiation_id},
    views::{ScalingProgress, ScalingRequest, ScalingVerdict},
};

mod giving_up;
mod reserving;
mod series;
mod wanted;

pub use wanted::ScalingError;

use series::{Part, Series};
use wanted::Wanted;

/// A scaling request that is being negotiated.
#[derive(Debug)]
pub struct ScalingTicket {
    /// The request's own id: its negotiation, where that is one.
    pub negotiation: String,
    parts: Vec<Awaited>,
    series: Option<Series>,
}

/// One negotiation of it.
#[derive(Debug)]
struct Awaited {
    negotiation: String,
    verdict: mpsc::Receiver<ScalingVerdict>,
    patience: Duration,
}

/// How much longer than a session's deadline its end may take to arrive.
const GRACE: Duration = Duration::from_secs(10);

impl ScalingTicket {
    /// Waits until all of it is negotiated, which the deadline sees to.
    ///
    /// # Errors
    /// [`HostError::Task`] where the host could not conclude it.
    pub fn wait(self) -> Result<ScalingVerdict, HostError> {
        let lost = |id: &str| HostError::Task(format!("negotiation {id} was not concluded"));
        let mut parts = self.parts.into_iter();
        let mut next = |id: &str| parts.next().ok_or_else(|| lost(id))?.wait();
        match &self.series {
            Some(series) => series.verdict(next),
            None => next(&self.negotiation),
        }
    }
}

impl Awaited {
    fn wait(self) -> Result<ScalingVerdict, HostError> {
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
        let all = Wanted::all(&request, arrived)?;
        if request.windows.is_some() {
            return self.begin_series(&request, &all, arrived);
        }
        let mut parts = Vec::new();
        for wanted in &all {
            parts.push(self.begin_one(&request, wanted, arrived)?);
        }
        let negotiation = parts.first().map(|part| part.negotiation.clone()).unwrap_or_default();
        Ok(ScalingTicket { negotiation, parts, series: None })
    }

    /// Begins to negotiate for each window. They do not overlap, so none needs to know what comes of another.
    fn begin_series(
        &self,
        request: &ScalingRequest,
        all: &[Wanted],
        arrived: Timestamp,
    ) -> Result<ScalingTicket, HostError> {
        let service = self.catalog().service(&request.service)?.name.clone();
        let number = self.persistence.next_negotiation()?;
        let id = negotiation_id(&self.id, number);
        let from = self.status(&service).unwrap_or_default().desired;
        let mut series = Series::new(id.clone(), service, from, request.dry_run);
        let mut parts = Vec::new();
        for wanted in all {
            series.windows.push(match self.begin_one(request, wanted, arrived) {
                Ok(part) => {
                    let negotiation = part.negotiation.clone();
                    parts.push(part);
                    Part::Negotiated(negotiation)
                }
                Err(error @ (HostError::Demand(_) | HostError::Reserved { .. })) => {
                    let window = wanted.window(arrived, Span::ZERO);
                    Part::Refused { window, why: error.to_string() }
                }
                Err(error) => return Err(error),
            });
        }
        if !request.dry_run {
            let mut batch = Batch::new();
            self.persistence.keep_negotiation(&mut batch, &self.id, &id, number, &series)?;
            self.persistence.commit_lazy(batch)?;
        }
        Ok(ScalingTicket { negotiation: id, parts, series: Some(series) })
    }

    fn begin_one(
        &self,
        request: &ScalingRequest,
        wanted: &Wanted,
        arrived: Timestamp,
    ) -> Result<Awaited, HostError> {
        let turning = lock(&self.turning);
        let now = self.clock.now();
        let catalog = self.catalog();
        let service = catalog.service(&request.service)?;
        let mut policy = catalog.policy_of(service).as_ref().clone();
        let window = self.free_window(service, wanted, policy.negotiation.lease, now)?;
        if wanted.is_definite() {
            policy.negotiation.hold_for(window.length());
        }
        if let Some(deadline) = request.deadline {
            policy.negotiation.deadline = deadline;
        }
        let load = wanted.load(service, policy.scaling.target_utilization)?;
        let from = self.status(&service.name).unwrap_or_default().desired;
        let mut states = self.states();
        let mut ledger = self.ledger();
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
        let awaited = Awaited {
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
            origin: Origin::Request { goes_on: !wanted.is_definite(), later: window.start > now },
            earlier: Vec::new(),
        };
        if has_to_wait(&catalog, &ledger, &service.name) {
            drop(ledger);
            drop(states);
            let session = demand.clone();
            self.enlist(Waiting { number, demand, asked, answer: Some(answer), ended: false });
            drop(turning);
            let endings = self.open_enlisted(session)?;
            self.conclude(endings)?;
            return Ok(awaited);
        }
        if request.dry_run {
            let mut copy = ledger.clone();
            let session = self.negotiate(&catalog, &states, &mut copy, (number, demand), now)?;
            drop(answer.send(session.verdict(from)));
            return Ok(awaited);
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
        Ok(awaited)
    }

    /// When it is to be negotiated for: what was asked for until a certain time keeps that. What begins now
    /// takes the place of what was asked for before and has begun, but not of what is agreed for later.
    fn free_window(
        &self,
        service: &Service,
        wanted: &Wanted,
        lease: Span,
        now: Timestamp,
    ) -> Result<Window, HostError> {
        let window = wanted.window(now, lease);
        let is_later = |other: &Window| window.start > now || other.start > now;
        let mut taken: Vec<(String, Window)> = lock(&self.waiting)
            .iter()
            .filter(|(_, waiting)| waiting.demand.requester == service.name)
            .filter(|(_, waiting)| waiting.asked.is_definite() && !waiting.demand.dry_run)
            .map(|(id, waiting)| (id.clone(), waiting.demand.window))
            .collect();
        let states = self.states();
        let Some(state) = states.get(&service.name) else { return Ok(window) };
        let requested = state.requested.iter();
        let scheduled = state.scheduled.iter().filter_map(|later| later.requested.as_ref());
        let definite = requested.chain(scheduled).filter(|old| !old.goes_on && !old.load.is_zero());
        taken.extend(definite.map(|old| (old.request().to_owned(), old.window)));
        let window = if wanted.is_definite() { window } else { state.until_next_begin(window) };
        let is_taken = |(_, other): &(String, Window)| other.overlaps(&window) && is_later(other);
        match taken.into_iter().find(is_taken) {
            Some((by, window)) => {
                Err(HostError::Reserved { service: service.name.clone(), by, window })
            }
            None => Ok(window),
        }
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
        let negotiations = self.negotiations_of(id)?;
        let waiting = lock(&self.waiting);
        let pending = negotiations.iter().any(|id| waiting.contains_key(id));
        drop(waiting);
        let verdict = match (pending, self.series(id)?) {
            (true, _) => None,
            (false, Some(series)) => Some(series.verdict(|part| self.verdict_of(part))?),
            (false, None) => Some(self.verdict_of(id)?),
        };
        Ok(ScalingProgress { negotiation: id.to_owned(), pending, verdict })
    }

    /// The negotiations that a scaling request has come to: one for each of its windows.
    pub(crate) fn negotiations_of(&self, id: &str) -> Result<Vec<String>, HostError> {
        let series = self.series(id)?;
        Ok(match series {
            Some(series) => series.negotiations().cloned().collect(),
            None => vec![id.to_owned()],
        })
    }

    fn series(&self, id: &str) -> Result<Option<Series>, HostError> {
        let record = match self.negotiation(id) {
            Err(HostError::NotFound { .. }) => return Err(not_found("scaling request", id)),
            record => record?,
        };
        Ok(serde_json::from_value(record).ok())
    }

    fn verdict_of(&self, negotiation: &str) -> Result<ScalingVerdict, HostError> {
        let unknown = || not_found("scaling request", negotiation);
        let mut record = self.negotiation(negotiation).map_err(|_| unknown())?;
        let verdict = record.get_mut("verdict").map(serde_json::Value::take).ok_or_else(unknown)?;
        serde_json::from_value(verdict).map_err(|_| unknown())
    }
}

#[cfg(test)]
mod tests;
