//! Decides the number of replicas of a service.

use haggle_model::{Bound, Decision, Name, Quantities, ScalingReason};
use serde_json::json;

use crate::{Action, Effect, EventKind, record::Write, step::Step};

/// A requested change of the number of replicas, before it becomes a decision.
pub(crate) struct Order {
    pub(crate) to: u32,
    pub(crate) wanted: u32,
    pub(crate) reason: ScalingReason,
    /// Whether added replicas stay for the stabilization window. Replicas requested until a fixed time end
    /// at that time.
    pub(crate) lasting: bool,
    pub(crate) load: Quantities,
    pub(crate) bound: Option<Bound>,
    pub(crate) negotiation: Option<String>,
    pub(crate) explanation: String,
}

impl Step<'_> {
    /// Decides the number of replicas of a service. Where providers exist, it never exceeds the leased
    /// number, except for the minimum of the service.
    pub(crate) fn order(&mut self, name: &Name, order: Order) {
        let Some((service, policy)) = self.described(name) else { return };
        let leased = self.leased(&service);
        let Some(state) = self.state.services.get(name) else { return };
        let from = state.replicas;
        let most = leased.map_or(u32::MAX, |leased| leased.max(service.replicas.min));
        let to = if order.to > from { order.to.min(most).max(from) } else { order.to };
        // An empty agreement orders no replicas; the minimum of the service still applies.
        let to = to.clamp(service.replicas.min, service.replicas.max);
        if from == to {
            return;
        }
        self.state.decisions += 1;
        let (now, sequence) = (self.now, self.state.decisions);
        let lasting = order.lasting;
        if let Some(state) = self.state.service_mut(name) {
            (state.replicas, state.sequence) = (to, sequence);
            if to > from {
                // The number to return to is outdated by this increase.
                state.return_to = None;
            }
            if to > from && lasting {
                // Replicas stay for the stabilization window, whatever the reason for the increase.
                state.recent.push(now, to, policy.scaling.stabilization);
            }
        }
        let Order { wanted, reason, load, bound, negotiation, explanation, .. } = order;
        let decision = Decision {
            sequence,
            at: now,
            service: name.clone(),
            from,
            to,
            target: wanted,
            reason,
            load,
            bound,
            negotiation,
            explanation,
        };
        let message = format!("{from} -> {to} replicas: {}", decision.explanation);
        let detail = serde_json::to_value(&decision).unwrap_or_else(|_| json!({}));
        self.keep(name);
        self.writes.push(Write::Append(decision));
        self.publish(EventKind::Decision, name.as_str(), message, detail);
        self.actuate(name);
    }

    /// Makes the driver apply the latest decision on the service.
    pub(crate) fn actuate(&mut self, name: &Name) {
        let (Some(service), Some(state)) =
            (self.state.catalog.services.get(name), self.state.services.get(name))
        else {
            return;
        };
        self.effects.push(Effect::Actuate(Action {
            service: service.clone(),
            replicas: state.replicas,
            resources: service.replica.requests.clone(),
            sequence: state.sequence,
        }));
    }
}
