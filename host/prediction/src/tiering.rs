//! Tiering: the tiers of the services of one tiering plugin, and their shares of capacity.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use haggle_control::{Input, ServiceState, State as Snapshot, TierAssignment};
use haggle_model::{Name, Service, Timestamp};
use haggle_plan::Pool;
use haggle_plugins::{Who, context, convert};
use haggle_sandbox::{Assign, tiering};

use crate::shared_state::SharedState;

/// Assigns tiers to all due services of one plugin.
pub(crate) struct TierJob {
    busy: Busy,
    snapshot: Arc<Snapshot>,
    now: Timestamp,
    plugin: Name,
    services: Vec<Arc<Service>>,
}

/// Blocks other jobs for the same plugin until it is dropped.
struct Busy {
    inner: Arc<SharedState>,
    plugin: Name,
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.inner.state().tiering.busy.remove(&self.plugin);
    }
}

/// Creates a job for every plugin with due services, ordered by name.
pub(crate) fn jobs(
    inner: &Arc<SharedState>,
    snapshot: &Arc<Snapshot>,
    now: Timestamp,
) -> Vec<TierJob> {
    let catalog = snapshot.catalog();
    let mut state = inner.state();
    let tiering = &mut state.tiering;
    tiering.last.retain(|policy, _| catalog.policy(policy).is_ok());
    let mut due: BTreeSet<&Name> = BTreeSet::new();
    for policy in catalog.policies() {
        let is_free = !tiering.busy.contains(&policy.tiering.plugin);
        if is_free && tiering.is_due(policy, now) {
            due.insert(&policy.name);
        }
    }
    let mut by_plugin: BTreeMap<Name, Vec<Arc<Service>>> = BTreeMap::new();
    for (service, _) in snapshot.services().filter(|(service, _)| due.contains(&service.policy)) {
        let Ok(policy) = catalog.policy(&service.policy) else { continue };
        let services = by_plugin.entry(policy.tiering.plugin.clone()).or_default();
        services.push(Arc::clone(service));
    }
    let mut jobs = Vec::new();
    for (plugin, services) in by_plugin {
        tiering.busy.insert(plugin.clone());
        let busy = Busy { inner: Arc::clone(inner), plugin: plugin.clone() };
        jobs.push(TierJob { busy, snapshot: Arc::clone(snapshot), now, plugin, services });
    }
    jobs
}

impl TierJob {
    pub(crate) fn plugin(&self) -> &Name {
        &self.plugin
    }

    pub(crate) fn services(&self) -> Vec<Name> {
        self.services.iter().map(|service| service.name.clone()).collect()
    }

    pub(crate) fn run(self) -> Vec<Input> {
        let (services, states): (Vec<Name>, Vec<tiering::ServiceState>) =
            self.states().into_iter().unzip();
        let now = self.now;
        let ask =
            |_: &Who| Assign { context: context(now, now.as_millis()), services: states.clone() };
        let assigned = match self.busy.inner.policies.assign(now, &self.plugin, &ask) {
            Ok(decided) => decided.answer,
            Err(error) => {
                tracing::debug!(plugin = %self.plugin, %error, "tiers stay as they are");
                return Vec::new();
            }
        };
        let assignment = |(service, assigned): (Name, tiering::Assignment)| {
            let tier = convert::tier_of(assigned.tier);
            let (share, reason) = (assigned.share, assigned.reason);
            TierAssignment { service, tier, share, reason }
        };
        let tiers = services.into_iter().zip(assigned).map(assignment).collect();
        vec![Input::Tiers(tiers)]
    }

    fn states(&self) -> Vec<(Name, tiering::ServiceState)> {
        let pool = Pool::of(self.services.iter().map(AsRef::as_ref));
        let known = |service: &Arc<Service>| {
            let (_, state) = self.snapshot.service(&service.name).ok()?;
            let policy = self.snapshot.catalog().policy_of(service);
            let observed = state.observed.map(|(_, load)| load);
            let outlook = state.forecast.as_ref().and_then(|f| f.outlook.as_deref().ok());
            let (limits, horizon) = (&policy.scaling, policy.forecasting.horizon);
            let member = pool.member(observed, outlook, limits, self.now, horizon);
            let known = tiering::ServiceState {
                service: service.name.to_string(),
                tier: convert::tier(state.tier),
                since_ms: state.tier_since.as_millis(),
                load: member.current,
                forecast_mean: member.forecast_mean,
                forecast_upper: member.forecast_upper,
                upper_quantile: limits.quantile,
                confidence: member.confidence,
                objective: objective(service, state),
                weight: service.weight,
            };
            Some((service.name.clone(), known))
        };
        self.services.iter().filter_map(known).collect()
    }
}

impl fmt::Display for TierJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "assign tiers to {} services with plugin {}", self.services.len(), self.plugin)
    }
}

fn objective(service: &Service, state: &ServiceState) -> Option<tiering::Objective> {
    let objective = service.objective?;
    let compliance = &state.compliance;
    Some(tiering::Objective {
        target: objective.target,
        compliance: compliance.share(),
        burn_rate: compliance.burn_rate(&objective),
    })
}
