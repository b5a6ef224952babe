//! The simulated driver of replicas. It lags, and sometimes ignores an action.

use std::collections::BTreeMap;

use haggle_control::{Action, ReplicaReport};
use haggle_model::{Name, Timestamp};

use crate::chance::Chance;

#[derive(Debug, Default)]
pub(crate) struct Driver {
    services: BTreeMap<Name, Managed>,
}

#[derive(Debug)]
struct Managed {
    desired: u32,
    /// The number of replicas that served before, and the time until which that holds.
    ready: u32,
    until: Timestamp,
}

impl Driver {
    pub(crate) fn act(&mut self, action: &Action, chance: Chance, now: Timestamp) {
        let mut rng = chance.rng(&format!("driver {}", action.service.name), now.as_millis());
        if rng.u8(0..30) == 0 {
            return;
        }
        let ready = self.services.get(&action.service.name).map_or(0, |old| old.ready_at(now));
        let until = now + action.service.replica.startup;
        let managed =
            Managed { desired: action.replicas, ready: ready.min(action.replicas), until };
        self.services.insert(action.service.name.clone(), managed);
    }

    pub(crate) fn forget(&mut self, service: &Name) {
        self.services.remove(service);
    }

    pub(crate) fn reports(&self, chance: Chance, now: Timestamp) -> Vec<ReplicaReport> {
        let mut rng = chance.rng("reports", now.as_millis());
        if rng.u8(0..10) == 0 {
            return Vec::new();
        }
        let report = |(service, managed): (&Name, &Managed)| {
            let mut rng = chance.rng(&format!("report {service}"), now.as_millis());
            let lost = u32::from(rng.u8(0..15) == 0);
            let desired = managed.desired.saturating_sub(lost);
            let ready = managed.ready_at(now).min(desired);
            ReplicaReport { service: service.clone(), desired, ready }
        };
        self.services.iter().map(report).collect()
    }
}

impl Managed {
    fn ready_at(&self, now: Timestamp) -> u32 {
        if now >= self.until { self.desired } else { self.ready }
    }
}
