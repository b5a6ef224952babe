use std::collections::BTreeMap;

use haggle_actuate::{ReplicaStatus, ScaleOrder};
use haggle_model::{Name, Span, Timestamp};

use crate::{Competitor, CompetitorError, Observation};

mod behavior;
mod replicas;

pub use behavior::{Change, RateLimit};

use behavior::Behavior;
use replicas::{Pods, Target};

/// The horizontal pod autoscaler of Kubernetes (`autoscaling/v2`), with the load as its metric.
///
/// It follows the published algorithm of the controller ("Horizontal Pod Autoscaling" in the Kubernetes
/// documentation) with the default behaviour. At each sync it compares the usage of the ready pods with the
/// target, and treats pods that are not ready or have no metric separately. It stabilises scaling in by the
/// highest recommendation of the last minutes, and limits the rate of change.
///
/// The metric is the offered load, averaged over the last sync period, for whole pods only: a pod that
/// became ready since then has no sample yet. Real metrics pipelines add delay (a scrape every 15 to 60 s),
/// and real pods saturate, so that their usage does not show the full overload. Both would make the
/// autoscaler slower than it is here.
#[derive(Debug)]
pub struct Hpa {
    settings: HpaSettings,
    services: BTreeMap<Name, State>,
    sequence: u64,
}

/// The settings of the autoscaler, with the defaults of Kubernetes.
#[derive(Clone, Debug, PartialEq)]
pub struct HpaSettings {
    /// The interval between two decisions.
    pub sync: Span,
    /// The target share of a replica's capacity.
    pub target_utilization: f64,
    /// The relative deviation from the target that it tolerates.
    pub tolerance: f64,
    /// The time over which scaling in is limited to the highest recommendation.
    pub stabilization: Span,
    /// Limits on scaling out; the most permissive applies.
    pub scale_up: Vec<RateLimit>,
    /// Limits on scaling in; the most permissive applies.
    pub scale_down: Vec<RateLimit>,
}

/// The state of one service.
#[derive(Debug, Default)]
struct State {
    behavior: Behavior,
    /// The number of ready pods at the previous sync.
    ready: u32,
}

impl Hpa {
    /// Creates an autoscaler with these settings.
    #[must_use]
    pub fn new(settings: HpaSettings) -> Self {
        Self { settings, services: BTreeMap::new(), sequence: 0 }
    }
}

impl Default for HpaSettings {
    fn default() -> Self {
        let period = Span::from_secs(15);
        Self {
            sync: Span::from_secs(15),
            target_utilization: 0.7,
            tolerance: 0.1,
            stabilization: Span::from_secs(300),
            scale_up: vec![
                RateLimit { change: Change::Percent(100), period },
                RateLimit { change: Change::Pods(4), period },
            ],
            scale_down: vec![RateLimit { change: Change::Percent(100), period }],
        }
    }
}

impl HpaSettings {
    /// The desired number of replicas of a service.
    fn desired(&self, now: Timestamp, state: &mut State, seen: &Observation<'_>) -> u32 {
        let ReplicaStatus { desired: current, starting, ready } = seen.status();
        let bounds = seen.service().replicas;
        let (min, max) = (bounds.min.max(1), bounds.max.max(1));
        // The sample covers the pods that were ready at the start of its period.
        let sampled = std::mem::replace(&mut state.ready, ready).min(ready);
        if current == 0 {
            // The autoscaler is disabled at zero replicas.
            return 0;
        }
        if current < min || current > max {
            return current.clamp(min, max);
        }
        let pods = Pods { sampled, missing: ready - sampled, unready: starting };
        let request = seen.service().replica.capacity.get(seen.service().load_resource());
        let (utilization, tolerance) = (self.target_utilization, self.tolerance);
        let target = Target { request, utilization, tolerance };
        match target.replicas(current, pods, seen.load_over(self.sync)) {
            Some(wanted) => state.behavior.normalized(now, self, current, wanted, (min, max)),
            None => current,
        }
    }
}

impl Competitor for Hpa {
    fn name(&self) -> &str {
        "hpa"
    }

    fn interval(&self) -> Span {
        self.settings.sync
    }

    fn step(
        &mut self,
        now: Timestamp,
        services: &[Observation<'_>],
    ) -> Result<Vec<ScaleOrder>, CompetitorError> {
        let mut orders = Vec::new();
        for seen in services {
            let name = &seen.service().name;
            if !self.services.contains_key(name) {
                self.services.insert(name.clone(), State::default());
            }
            let Some(state) = self.services.get_mut(name) else { continue };
            let from = seen.status().desired;
            let to = self.settings.desired(now, state, seen);
            if to != from {
                state.behavior.scaled(now, from, to);
                self.sequence += 1;
                let (service, sequence) = (name.clone(), self.sequence);
                orders.push(ScaleOrder { service, from, to, sequence });
            }
        }
        Ok(orders)
    }
}
