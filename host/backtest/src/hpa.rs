use std::collections::BTreeMap;

use haggle_actuate::{ReplicaStatus, ScaleOrder};
use haggle_model::{Name, Span, Timestamp};

use crate::{Competitor, CompetitorError, Observation};

mod behavior;
mod replicas;

pub use behavior::{Change, RateLimit};

use behavior::Behavior;
use replicas::{Pods, Target};

/// The horizontal pod autoscaler of Kubernetes (`autoscaling/v2`) on the load as its metric.
///
/// It follows the controller's published algorithm ("Horizontal Pod Autoscaling" in the Kubernetes
/// documentation) with the default behaviour: at each sync it compares the usage of the pods that are
/// ready with the target, sets those aside that are not ready or have no metric yet, stabilises the
/// way down by the highest recommendation of the last minutes, and limits the rate of change.
///
/// The metric is the load that is offered, averaged over the last sync period, whole pods only: a pod
/// that has become ready since has no sample yet. Real metrics pipelines add delay (a scrape every
/// 15 to 60 s), and real pods saturate, so that their usage does not show all of an overload; both
/// would make it slower than it is here.
#[derive(Debug)]
pub struct Hpa {
    settings: HpaSettings,
    services: BTreeMap<Name, State>,
    sequence: u64,
}

/// The knobs of the autoscaler, with the defaults of Kubernetes.
#[derive(Clone, Debug, PartialEq)]
pub struct HpaSettings {
    /// The distance between two decisions.
    pub sync: Span,
    /// The share of a replica's capacity that it aims at.
    pub target_utilization: f64,
    /// It leaves alone what is off by no more than this share.
    pub tolerance: f64,
    /// It scales in to the highest recommendation of that time.
    pub stabilization: Span,
    /// Limits on scaling out; the one that allows most counts.
    pub scale_up: Vec<RateLimit>,
    /// Limits on scaling in; the one that allows most counts.
    pub scale_down: Vec<RateLimit>,
}

/// What it remembers of one service.
#[derive(Debug, Default)]
struct State {
    behavior: Behavior,
    /// How many pods were ready at the sync before.
    ready: u32,
}

impl Hpa {
    /// With these settings.
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
    /// How many replicas a service is to have.
    fn desired(&self, now: Timestamp, state: &mut State, seen: &Observation<'_>) -> u32 {
        let ReplicaStatus { desired: current, starting, ready } = seen.status();
        let bounds = seen.service().replicas;
        let (min, max) = (bounds.min.max(1), bounds.max.max(1));
        // The sample is of those that were ready when its time began.
        let sampled = std::mem::replace(&mut state.ready, ready).min(ready);
        if current == 0 {
            // Scaled to nothing means switched off.
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
