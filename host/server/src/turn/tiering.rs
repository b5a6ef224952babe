//! The tier stage of a turn: where services of one tier policy stand, and what each gets of their pool.

use std::collections::BTreeMap;

use haggle_model::{Name, Service, Timestamp};
use haggle_observe::SeriesKey;
use haggle_plan::Pool;
use haggle_sandbox::{Assign, tiering};

use crate::{
    convert, documents::catalog::Catalog, events::EventKind, host::Host,
    negotiating::counterparties::context, state::ServiceState,
};

impl Host {
    /// Has tiers assigned where that is due.
    pub(crate) fn assign_tiers(&self, catalog: &Catalog, now: Timestamp) {
        let mut by_plugin: BTreeMap<&Name, Vec<&Service>> = BTreeMap::new();
        for service in catalog.services.values() {
            let Some(policy) = catalog.policies.get(&service.policy) else { continue };
            let interval = self.interval.as_millis().max(1);
            let every = policy.tiering.every.as_millis();
            // The turn in which a multiple of the period falls.
            let due = now.as_millis().checked_rem(every).is_none_or(|rest| rest < interval);
            if due {
                by_plugin.entry(&policy.tiering.plugin).or_default().push(service);
            }
        }
        for (plugin, services) in by_plugin {
            let apis = self.api_states(catalog, &services, now);
            let call = Assign { context: context(now, now.as_millis()), apis };
            match self.decider.call(now, plugin, call) {
                Ok(decided) => self.apply_tiers(&services, decided.answer, now),
                Err(error) => tracing::debug!(?error, "tiers stay as they are"),
            }
        }
    }

    fn api_states(
        &self,
        catalog: &Catalog,
        services: &[&Service],
        now: Timestamp,
    ) -> Vec<tiering::ApiState> {
        let pool = Pool::of(services.iter().copied());
        let states = self.states();
        let history = self.history();
        let state_of = |service: &Service| {
            let policy = catalog.policy_of(service);
            let state = states.get(&service.name);
            let observed = history.latest(&SeriesKey::load_of(service)).map(|(_, v)| v);
            let outlook = state.and_then(|state| state.forecast.as_ref()).map(|f| &f.outlook);
            let level = policy.scaling.level;
            let member = pool.member(observed, outlook, level, now, policy.forecast.horizon);
            tiering::ApiState {
                id: service.name.to_string(),
                current_tier: convert::tier(state.map_or(service.tier, |state| state.tier)),
                since: state.map_or(now, |state| state.tier_since).as_millis(),
                current_load: member.current,
                forecast_mean: member.forecast_mean,
                forecast_upper: member.forecast_upper,
                confidence: member.confidence,
                objective: objective(service, state),
                weight: service.weight,
            }
        };
        services.iter().map(|service| state_of(service)).collect()
    }

    fn apply_tiers(
        &self,
        services: &[&Service],
        assignments: Vec<tiering::Assignment>,
        now: Timestamp,
    ) {
        let mut states = self.states();
        for (service, assignment) in services.iter().zip(assignments) {
            let Some(state) = states.get_mut(&service.name) else { continue };
            state.share = assignment.share;
            let tier = convert::tier_of(assignment.tier);
            if tier == state.tier {
                continue;
            }
            let message = format!("{} -> {tier}: {}", state.tier, assignment.reason);
            let detail =
                serde_json::json!({ "from": state.tier, "to": tier, "share": state.share });
            (state.tier, state.tier_since) = (tier, now);
            self.emit(EventKind::Tier, service.name.as_str(), message, detail);
        }
    }
}

fn objective(service: &Service, state: Option<&ServiceState>) -> Option<tiering::Objective> {
    let objective = service.objective?;
    let compliance = &state?.compliance;
    Some(tiering::Objective {
        target: objective.target,
        compliance: compliance.share(),
        burn_rate: compliance.burn_rate(&objective),
    })
}
