//! What one service needs, and what is negotiated for it where that is not what it has.

use std::collections::BTreeMap;

use haggle_model::{
    Bound, Decision, Lease, LeaseId, LeaseState, Name, Owner, Quantities, ScalingReason, Service,
    Timestamp, Window,
};
use haggle_negotiate::{Demand, Ledger, Purpose};
use haggle_observe::SeriesKey;
use haggle_plan::{Need, Standing, need};
use haggle_store::Batch;
use serde_json::json;

use crate::{
    documents::catalog::Catalog,
    error::HostError,
    events::EventKind,
    host::{Host, lock},
    negotiating::{
        Wish,
        applying::Asked,
        exchange::{Waiting, has_to_wait},
    },
    persistence::{committing::Pending, keep_leases},
    state::{Refused, ServiceState},
    views::{TurnReport, Verdict},
};

/// At most so many negotiations at once are tried on a copy of the ledger first: to copy it takes as long as
/// it is large.
const MOST_TRIALS: usize = 64;

/// Why replicas go.
const LOST: &str = "no others were found";
const OVER: &str = "what was asked for is over";

/// What is to be negotiated for a service now.
struct Due {
    needed: Need,
    /// The load of it that others have not negotiated for already.
    own: Quantities,
    purpose: Purpose,
    window: Window,
}

/// What is to be done for a service.
enum Next {
    Negotiate(Box<Due>),
    /// What it has will do, nothing is known of it, or the same was refused a moment ago.
    Nothing,
    /// What was asked for is over, and nothing says that any of it is still wanted.
    Leave,
}

impl Host {
    /// Works out what one service needs, and negotiates for it where that is not what it has.
    pub(crate) fn serve(
        &self,
        catalog: &Catalog,
        service: &Service,
        now: Timestamp,
        pending: &mut Pending,
        report: &mut TurnReport,
    ) -> Result<(), HostError> {
        let policy = catalog.policy_of(service);
        let mut states = self.states();
        let mut ledger = self.ledger();
        let Some(state) = states.get_mut(&service.name) else { return Ok(()) };
        let (from, lost) = (state.replicas, state.lost);
        let due = match self.due(catalog, service, now, state, &ledger) {
            Next::Negotiate(due) => *due,
            Next::Nothing => {
                let leased = leased(catalog, &ledger, service, now);
                self.vacate(service, now, state, leased, LOST, pending);
                return Ok(());
            }
            Next::Leave => {
                let leases: Vec<LeaseId> =
                    placed(&ledger, service, now).map(|lease| lease.id.clone()).collect();
                let mut batch = Batch::new();
                keep_leases(&mut batch, &ledger.release(&leases))?;
                // Written in the order in which it counts.
                self.persistence.commit_lazy(batch)?;
                self.vacate(service, now, state, Some(0), OVER, pending);
                return Ok(());
            }
        };
        let Due { needed, own, purpose, window } = due;
        let wish = Wish { service, policy: &policy, load: own.clone(), purpose, window };
        let asked = Asked { load: Some(own), from, ..Asked::from(needed) };
        let (number, mut demand) = self.demand(wish, now)?;
        if has_to_wait(catalog, &ledger, &service.name) {
            drop(ledger);
            drop(states);
            return self.serve_with_others(
                Waiting { number, demand, asked, answer: None, ended: false },
                pending,
                report,
            );
        }
        if lost && pending.trials < MOST_TRIALS {
            pending.trials += 1;
            self.keep_what_is_held(catalog, &states, &ledger, (number, &mut demand), now)?;
        }
        match self.negotiate(catalog, &states, &mut ledger, (number, demand), now) {
            Ok(session) => {
                drop(ledger);
                let verdict = session.verdict(from);
                report.count(verdict.verdict);
                self.settle(&session, &verdict, asked, now, &mut states, pending)?;
                let ledger = self.ledger();
                if let Some(state) = states.get_mut(&service.name) {
                    let leased = leased(catalog, &ledger, service, now);
                    self.vacate(service, now, state, leased, LOST, pending);
                }
                Ok(())
            }
            Err(error) => self.not_negotiable(&service.name, error, report),
        }
    }

    /// What is to be negotiated for the service, if anything.
    fn due(
        &self,
        catalog: &Catalog,
        service: &Service,
        now: Timestamp,
        state: &mut ServiceState,
        ledger: &Ledger,
    ) -> Next {
        let policy = catalog.policy_of(service);
        let utilization = policy.scaling.target_utilization;
        let ahead = Window::new(now, service.replica.startup + self.interval + self.interval);
        let promised = ledger.committed(&Owner::Service(service.name.clone()), ahead, &[]);
        let key = SeriesKey::load_of(service);
        let observed = self.history().latest(&key).map(|(_, value)| value);
        let is_known = observed.is_some() || state.forecast.is_some() || !promised.is_zero();
        let ended = state.end_requests(|requested| !requested.counts(now, is_known));
        let over = ended || state.back_to.is_some();
        let is_left = !is_known && over && state.requested.is_empty();
        if is_left && state.replicas > service.replicas.min && !self.is_negotiating(&service.name) {
            return Next::Leave;
        }
        let requested = state.requested_load();
        let uncovered = leased(catalog, ledger, service, now).is_some_and(|n| n < state.replicas);
        if !is_known && requested.is_none() && !state.lost && !uncovered {
            return Next::Nothing;
        }
        let from = state.replicas;
        let standing = Standing {
            service,
            policy: &policy,
            now,
            interval: self.interval,
            replicas: state.back_to.map_or(from, |before| before.min(from)),
            observed,
            outlook: state.forecast.as_ref().map(|forecast| &forecast.outlook),
            risk: state.risk,
            burn_rate: service.objective.map(|objective| state.compliance.burn_rate(&objective)),
            promised: &promised,
            requested: requested.as_ref(),
        };
        let needed = need(&standing, &mut state.recent);
        state.planned = needed.load.clone();
        let resource = service.load_resource();
        // More replicas than the load needs are kept on purpose: they are part of what is asked for.
        let load = if service.replicas_for(&needed.load, utilization) < needed.replicas {
            needed.load.max(&service.carries(needed.replicas).scaled(utilization))
        } else {
            needed.load.clone()
        };
        // Who was promised a part of it has negotiated for that part already.
        let own = load.minus(&promised);
        let depends = catalog.graph.dependencies_of(&service.name).next().is_some();
        let slack = needed.load.get(resource) * policy.negotiation.band;
        let differs = |load: &Quantities| (own.get(resource) - load.get(resource)).abs() > slack;
        // What was asked for until a certain time is not renewed: it is over then.
        let ends = state.requests_end().filter(|_| !is_known);
        let due = match &state.agreed {
            Some(agreed) => {
                // What was agreed for later may take over from it.
                let goes_on = ends.is_none()
                    && state.next_begin(now).is_none_or(|begin| agreed.until < begin);
                (goes_on && agreed.is_ending(now)) || (depends && differs(&agreed.load))
            }
            None => depends,
        };
        if needed.replicas == from && !due && !state.lost && !uncovered {
            state.back_to = None;
            return Next::Nothing;
        }
        let in_vain = |refused: &Refused| now < refused.until && !differs(&refused.load);
        if needed.replicas >= from && state.refused.as_ref().is_some_and(in_vain) {
            return Next::Nothing;
        }
        let purpose = match needed.reason {
            _ if needed.replicas == from => Purpose::Renegotiation,
            ScalingReason::FailureRisk | ScalingReason::Objective => Purpose::FailureAvoidance,
            ScalingReason::Tier => Purpose::TierChange,
            _ => Purpose::Growth,
        };
        let window = Window::new(now, policy.negotiation.lease);
        let window = Window { end: ends.unwrap_or(window.end), ..window };
        let window = state.until_next_begin(window);
        Next::Negotiate(Box::new(Due { needed, own, purpose, window }))
    }

    /// Where less can be had than a lost lease still gives, what is negotiated for begins when that ends: it is
    /// not given up before its time.
    fn keep_what_is_held(
        &self,
        catalog: &Catalog,
        states: &BTreeMap<Name, ServiceState>,
        ledger: &Ledger,
        (number, demand): (u64, &mut Demand),
        now: Timestamp,
    ) -> Result<(), HostError> {
        let lost = ledger.leases_of(&demand.requester).filter(|lease| {
            let soon = now < lease.window.end && lease.window.end < demand.window.end;
            lease.state == LeaseState::Confirmed && soon
        });
        let Some(end) = lost.map(|lease| lease.window.end).min() else { return Ok(()) };
        let trial = Demand { dry_run: true, ..demand.clone() };
        let mut copy = ledger.clone();
        let trial = self.negotiate(catalog, states, &mut copy, (number, trial), now);
        if !trial.is_ok_and(|session| session.verdict(0).verdict == Verdict::Approved) {
            let window = Window::new(end, demand.window.length());
            let state = states.get(&demand.requester);
            demand.window = state.map_or(window, |state| state.until_next_begin(window));
        }
        Ok(())
    }

    /// Replicas beyond those go, down to those that the service has in any case: where they have no lease, their
    /// place may be somebody else's by now.
    fn vacate(
        &self,
        service: &Service,
        now: Timestamp,
        state: &mut ServiceState,
        leased: Option<u32>,
        why: &str,
        pending: &mut Pending,
    ) {
        let Some(leased) = leased else { return };
        let (from, to) = (state.replicas, leased.max(service.replicas.min));
        if to >= from || self.is_negotiating(&service.name) {
            return;
        }
        state.replicas = to;
        pending.decisions.push(Decision {
            sequence: 0,
            at: now,
            service: service.name.clone(),
            from,
            to,
            wanted: from,
            reason: ScalingReason::LeaseEnded,
            load: state.planned.clone(),
            bound: Some(Bound::Negotiation),
            negotiation: None,
            explanation: format!("{leased} replica(s) have a lease, and {why}"),
        });
    }

    /// Whether a session of it with parties elsewhere is open, that may change something.
    pub(crate) fn is_negotiating(&self, service: &Name) -> bool {
        let same = |other: &Waiting| other.demand.requester == *service && !other.demand.dry_run;
        lock(&self.waiting).values().any(same)
    }

    /// Asks parties elsewhere; what they have not answered at once is carried out when they have. A
    /// service has one such session at a time.
    pub(crate) fn serve_with_others(
        &self,
        waiting: Waiting,
        pending: &mut Pending,
        report: &mut TurnReport,
    ) -> Result<(), HostError> {
        let requester = waiting.demand.requester.clone();
        if self.is_negotiating(&requester) {
            return Ok(());
        }
        match self.open_session(waiting) {
            Ok(endings) => {
                for ending in endings {
                    if let Some((verdict, _)) = self.settle_ending(ending, pending)? {
                        report.count(verdict.verdict);
                    }
                }
                Ok(())
            }
            Err(error) => self.not_negotiable(&requester, error, report),
        }
    }

    pub(crate) fn not_negotiable(
        &self,
        service: &Name,
        error: HostError,
        report: &mut TurnReport,
    ) -> Result<(), HostError> {
        let HostError::Demand(error) = error else { return Err(error) };
        let message = format!("cannot be negotiated for: {error}");
        self.emit(EventKind::Alert, service.as_str(), message, json!({}));
        report.failed += 1;
        Ok(())
    }
}

/// How many replicas of the service have a lease at present, of whatever size; none where nobody provides
/// for them.
fn leased(catalog: &Catalog, ledger: &Ledger, service: &Service, now: Timestamp) -> Option<u32> {
    if service.replica.uses.is_zero() || catalog.providers.is_empty() {
        return None;
    }
    Some(placed(ledger, service, now).map(|lease| lease.replicas).sum())
}

/// The leases that place replicas of the service at present.
fn placed<'a>(
    ledger: &'a Ledger,
    service: &Service,
    now: Timestamp,
) -> impl Iterator<Item = &'a Lease> {
    ledger.leases_of(&service.name).filter(move |lease| {
        let counts = lease.state == LeaseState::Confirmed && lease.window.contains(now);
        counts && matches!(lease.owner, Owner::Unit { .. })
    })
}

#[cfg(test)]
mod tests;
