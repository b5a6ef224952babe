//! One turn of the control loop: observe, forecast, assess, assign tiers, work out needs, negotiate,
//! commit, actuate.

use haggle_model::{Name, Owner, ScalingReason, Service, Timestamp, Window};
use haggle_negotiate::Purpose;
use haggle_observe::SeriesKey;
use haggle_plan::{Standing, need};
use haggle_store::Batch;
use serde_json::json;

use crate::{
    applying::Asked,
    catalog::Catalog,
    committing::Pending,
    error::HostError,
    events::EventKind,
    exchange::Waiting,
    host::{Host, lock},
    negotiating::Wish,
    persistence::keep_leases,
    state::Agreed,
    views::TurnReport,
};

impl Host {
    /// Takes one turn. Nothing is scaled before its negotiation is confirmed and written.
    ///
    /// # Errors
    /// [`HostError`] where the store fails; nothing was scaled then. Plugins that fail are no error:
    /// others decide in their place.
    pub fn turn(&self) -> Result<TurnReport, HostError> {
        let _turning = lock(&self.turning);
        let started = std::time::Instant::now();
        let now = self.clock.now();
        self.repeat_orders();
        self.carry_out_reclaims(now)?;
        let catalog = self.catalog();
        let mut report =
            TurnReport { at: now, services: catalog.services.len(), ..TurnReport::default() };
        let mut pending = Pending::default();
        self.take_up_scheduled(now, &mut pending)?;
        report.expired = self.expire(&mut pending.batch, now)?;
        self.count_compliance(&catalog, now);
        let tally = self.forecast_all(&catalog, now)?;
        (report.fitted, report.forecast, report.unforecast) =
            (tally.fitted, tally.forecast, tally.unforecast);
        report.at_risk = self.assess_all(&catalog, now)?;
        self.assign_tiers(&catalog, now);
        for service in dependents_first(&catalog) {
            self.serve(&catalog, service, now, &mut pending, &mut report)?;
        }
        let submitted = self.submit(pending)?;
        report.decisions = self.carry_out(submitted)?.len();
        self.history().prune(now);
        self.metrics.turn(&report, started.elapsed().as_secs_f64());
        Ok(report)
    }

    /// Ends what is over.
    fn expire(&self, batch: &mut Batch, now: Timestamp) -> Result<usize, HostError> {
        let expired = self.ledger().expire(now);
        keep_leases(batch, &expired)?;
        for lease in &expired {
            let message = format!("{} of {} is over", lease.amounts, lease.owner);
            let detail = json!({ "lease": lease.id });
            self.emit(EventKind::Lease, lease.holder.as_str(), message, detail);
        }
        Ok(expired.len())
    }

    /// Counts the turn that is over: what came, and what could be carried.
    fn count_compliance(&self, catalog: &Catalog, now: Timestamp) {
        let mut states = self.states();
        for service in catalog.services.values() {
            let Some(objective) = &service.objective else { continue };
            let Some(state) = states.get_mut(&service.name) else { continue };
            let key = SeriesKey::load_of(service);
            let latest = self.history().latest(&key);
            let Some((_, load)) = latest else { continue };
            let ready = self.status(&service.name).unwrap_or_default().ready;
            let carried = service.carries(ready);
            state.compliance.record(now, self.interval, load, &carried, service, objective);
        }
    }

    /// Works out what one service needs, and negotiates for it where that is not what it has.
    fn serve(
        &self,
        catalog: &Catalog,
        service: &Service,
        now: Timestamp,
        pending: &mut Pending,
        report: &mut TurnReport,
    ) -> Result<(), HostError> {
        let policy = catalog.policy_of(service);
        let utilization = policy.scaling.target_utilization;
        let mut states = self.states();
        let Some(state) = states.get_mut(&service.name) else { return Ok(()) };
        let mut ledger = self.ledger();
        let ahead = Window::new(now, service.replica.startup + self.interval + self.interval);
        let owner = Owner::Service(service.name.clone());
        let promised = ledger.committed(&owner, ahead, &[]);
        let key = SeriesKey::load_of(service);
        let observed = self.history().latest(&key).map(|(_, value)| value);
        let outlook = state.forecast.as_ref().map(|forecast| &forecast.outlook);
        if observed.is_none() && outlook.is_none() && promised.is_zero() && !state.lost {
            // Nothing is known of it, so nothing is decided for it.
            return Ok(());
        }
        let standing = Standing {
            service,
            policy: &policy,
            now,
            interval: self.interval,
            replicas: state.replicas,
            observed,
            outlook,
            risk: state.risk,
            burn_rate: service.objective.map(|objective| state.compliance.burn_rate(&objective)),
            promised: &promised,
        };
        let needed = need(&standing, &mut state.recent);
        let from = state.replicas;
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
        let differs = |other: &Agreed| (own.get(resource) - other.load.get(resource)).abs() > slack;
        let due = match &state.agreed {
            Some(agreed) => {
                let renewed_from = agreed.until.before(policy.negotiation.renew_before);
                renewed_from <= now || state.lost || (depends && differs(agreed))
            }
            None => depends || state.lost,
        };
        if needed.replicas == from && !due {
            return Ok(());
        }
        // What was refused a moment ago is not asked for again at once.
        let in_vain = |refused: &Agreed| now < refused.until && !differs(refused);
        if needed.replicas >= from && state.refused.as_ref().is_some_and(in_vain) {
            return Ok(());
        }
        let purpose = match needed.reason {
            _ if needed.replicas == from => Purpose::Renegotiation,
            ScalingReason::FailureRisk | ScalingReason::Objective => Purpose::FailureAvoidance,
            ScalingReason::Tier => Purpose::TierChange,
            _ => Purpose::Growth,
        };
        let wish = Wish { service, policy: &policy, load: own.clone(), purpose };
        let asked = Asked { load: Some(own), from, ..Asked::from(needed) };
        let (number, demand) = self.demand(wish, now)?;
        if catalog.asks_others(&service.name) {
            drop(ledger);
            drop(states);
            return self.serve_with_others(
                Waiting { number, demand, asked, answer: None, ended: false },
                pending,
                report,
            );
        }
        match self.negotiate(catalog, &states, &mut ledger, (number, demand), now) {
            Ok(session) => {
                drop(ledger);
                let verdict = session.verdict(from);
                report.count(verdict.verdict);
                self.settle(&session, &verdict, asked, now, &mut states, pending)
            }
            Err(error) => self.not_negotiable(&service.name, error, report),
        }
    }

    /// Asks parties elsewhere; what they have not answered at once is carried out when they have. A
    /// service has one such session at a time.
    fn serve_with_others(
        &self,
        waiting: Waiting,
        pending: &mut Pending,
        report: &mut TurnReport,
    ) -> Result<(), HostError> {
        let requester = waiting.demand.requester.clone();
        let same = |other: &Waiting| other.demand.requester == requester && !other.demand.dry_run;
        if lock(&self.waiting).values().any(same) {
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

    fn not_negotiable(
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

/// The services in an order in which dependents come before what they depend on, as far as there are no
/// cycles: what a dependent is promised is part of what its dependency needs.
fn dependents_first(catalog: &Catalog) -> Vec<&Service> {
    let graph = catalog.graph.as_petgraph();
    let mut components = petgraph::algo::tarjan_scc(graph);
    // Tarjan's components come dependencies first.
    components.reverse();
    components
        .into_iter()
        .flatten()
        .filter_map(|node| graph.node_weight(node))
        .filter_map(|name| catalog.services.get(name).map(AsRef::as_ref))
        .collect()
}

#[cfg(test)]
mod tests;
