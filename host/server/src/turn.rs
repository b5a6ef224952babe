//! One turn of the control loop: observe, forecast, assess, assign tiers, work out needs, negotiate,
//! commit, actuate.

use haggle_model::{Service, Timestamp};
use haggle_observe::SeriesKey;
use haggle_store::Batch;
use serde_json::json;

use crate::{
    documents::catalog::Catalog,
    error::HostError,
    events::EventKind,
    host::{Host, lock},
    persistence::{committing::Pending, keep_leases},
    views::TurnReport,
};

mod facts;
pub(crate) mod failures;
mod forecasting;
mod outlooks;
pub(crate) mod serving;
mod tiering;

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
        self.reserve_again(&catalog, now, &mut pending, &mut report)?;
        let submitted = self.submit(pending)?;
        report.decisions = self.carry_out(submitted)?.len();
        self.history().prune(now);
        self.metrics.turn(&report, started.elapsed().as_secs_f64());
        Ok(report)
    }

    /// Negotiates at once for whoever lost a lease: the notice may be shorter than the time to the next turn,
    /// which tries again should this fail.
    pub(crate) fn serve_lost(&self) {
        let _turning = lock(&self.turning);
        if let Err(error) = self.try_serve_lost() {
            tracing::error!("what was lost is not negotiated for before the next turn: {error}");
        }
    }

    fn try_serve_lost(&self) -> Result<(), HostError> {
        let now = self.clock.now();
        let catalog = self.catalog();
        let (mut pending, mut report) = (Pending::default(), TurnReport::default());
        for service in dependents_first(&catalog) {
            if self.states().get(&service.name).is_some_and(|state| state.lost) {
                self.serve(&catalog, service, now, &mut pending, &mut report)?;
            }
        }
        self.reserve_again(&catalog, now, &mut pending, &mut report)?;
        let submitted = self.submit(pending)?;
        self.carry_out(submitted).map(drop)
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
