//! Records observations and predictions of services: loads, risks, tiers and replicas.

use serde_json::json;

use crate::{
    EventKind,
    observation::{Observed, ReplicaReport, Risk, TierAssignment},
    step::Step,
};

impl Step<'_> {
    pub(crate) fn observe(&mut self, loads: Vec<Observed>) {
        for Observed { service, at, load, steps } in loads {
            if let Some(state) = self.state.service_mut(&service)
                && state.observed.is_none_or(|(latest, _)| latest <= at)
            {
                (state.observed, state.known_steps) = (Some((at, load)), steps);
            }
        }
    }

    pub(crate) fn assess(&mut self, risk: Risk) {
        let Risk { service: name, probability, explanation } = risk;
        let Some(service) = self.state.catalog.services.get(&name) else { return };
        let failure = self.state.catalog.policy_of(service).failure_prediction.clone();
        let now = self.now;
        let Some(state) = self.state.service_mut(&name) else { return };
        if state.assess(probability, failure.threshold, failure.horizon, now) {
            let detail = json!({ "probability": probability });
            self.publish(EventKind::Risk, name.as_str(), explanation, detail);
        }
    }

    pub(crate) fn assign(&mut self, assignment: TierAssignment) {
        let TierAssignment { service, tier, share, reason } = assignment;
        let now = self.now;
        let Some(state) = self.state.service_mut(&service) else { return };
        state.share = share;
        let from = state.tier;
        if tier == from {
            return;
        }
        (state.tier, state.tier_since) = (tier, now);
        self.keep(&service);
        let detail = json!({ "from": from, "to": tier, "share": share });
        self.publish(
            EventKind::Tier,
            service.as_str(),
            format!("{from} -> {tier}: {reason}"),
            detail,
        );
    }

    pub(crate) fn see(&mut self, reports: Vec<ReplicaReport>) {
        for ReplicaReport { service, desired, ready } in reports {
            let seen = Some((desired, ready));
            // Most reports repeat the last one. Unchanged states stay shared with the readers' snapshot.
            if self.state.services.get(&service).is_none_or(|state| state.seen == seen) {
                continue;
            }
            if let Some(state) = self.state.service_mut(&service) {
                state.seen = seen;
            }
        }
    }
}
