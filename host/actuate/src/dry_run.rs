use std::collections::BTreeMap;

use haggle_model::{Name, Service, Timestamp};

use crate::{
    ActuateError, Actuator, ReplicaStatus, ScaleOrder,
    actuator::{LastOrder, in_range},
};

/// Changes nothing: it logs each order, and reports as if it had been carried out at once.
#[derive(Debug, Default)]
pub struct DryRun {
    services: BTreeMap<Name, (u32, LastOrder)>,
}

impl DryRun {
    /// Creates a driver without services.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Actuator for DryRun {
    fn track(
        &mut self,
        _now: Timestamp,
        service: &Service,
        replicas: u32,
    ) -> Result<(), ActuateError> {
        in_range(&service.name, replicas)?;
        self.services.entry(service.name.clone()).or_insert((replicas, LastOrder::default()));
        Ok(())
    }

    fn forget(&mut self, service: &Name) {
        self.services.remove(service);
    }

    fn scale(&mut self, now: Timestamp, order: &ScaleOrder) -> Result<(), ActuateError> {
        let unknown = || ActuateError::Unknown(order.service.clone());
        let (replicas, last) = self.services.get_mut(&order.service).ok_or_else(unknown)?;
        if last.admits(order)? {
            tracing::info!(
                at = %now,
                service = %order.service,
                from = *replicas,
                to = order.to,
                decision = order.sequence,
                "would scale"
            );
            *replicas = order.to;
            last.set(order);
        }
        Ok(())
    }

    fn status(&mut self, _now: Timestamp, service: &Name) -> Option<ReplicaStatus> {
        let (replicas, _) = *self.services.get(service)?;
        Some(ReplicaStatus { desired: replicas, starting: 0, ready: replicas })
    }
}
