use std::collections::BTreeMap;

use haggle_model::{Name, Service, Timestamp};

use crate::{
    ActuateError, Actuator, ReplicaStatus, ScaleOrder,
    actuator::{LastOrder, in_range},
    fleet::Fleet,
};

/// Simulates replicas. A new replica serves requests once its service's startup time has passed since the
/// order. Scaling in takes effect at once, and removes starting replicas first. A failed replica is replaced
/// by one that must start.
///
/// The simulator follows a clock that is set back, so that scheduled events keep their remaining time.
#[derive(Debug, Default)]
pub struct Simulator {
    services: BTreeMap<Name, (Fleet, LastOrder)>,
}

impl Simulator {
    /// Creates a simulator without services.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Schedules the failure of a replica at `at`, or at once if that is in the past. A ready replica fails,
    /// or the most recently started one if none is ready; without replicas nothing happens.
    ///
    /// # Errors
    /// [`ActuateError::Unknown`].
    pub fn fail_at(&mut self, at: Timestamp, service: &Name) -> Result<(), ActuateError> {
        let unknown = || ActuateError::Unknown(service.clone());
        let (fleet, _) = self.services.get_mut(service).ok_or_else(unknown)?;
        fleet.schedule_failure(at);
        Ok(())
    }

    /// Returns when the number of ready replicas of any service changes next without an order.
    #[must_use]
    pub fn next_event(&self) -> Option<Timestamp> {
        self.services.values().filter_map(|(fleet, _)| fleet.next_event()).min()
    }

    /// Returns the fleet of a service, advanced to `now`.
    fn at(
        &mut self,
        now: Timestamp,
        service: &Name,
    ) -> Result<&mut (Fleet, LastOrder), ActuateError> {
        let unknown = || ActuateError::Unknown(service.clone());
        let entry = self.services.get_mut(service).ok_or_else(unknown)?;
        if now < entry.0.clock() {
            entry.0.rewind(now);
        }
        entry.0.advance(now);
        Ok(entry)
    }
}

impl Actuator for Simulator {
    fn track(
        &mut self,
        now: Timestamp,
        service: &Service,
        replicas: u32,
    ) -> Result<(), ActuateError> {
        in_range(&service.name, replicas)?;
        let startup = service.replica.startup;
        if self.services.contains_key(&service.name) {
            self.at(now, &service.name)?.0.set_startup(startup);
        } else {
            let fleet = Fleet::new(now, startup, replicas);
            self.services.insert(service.name.clone(), (fleet, LastOrder::default()));
        }
        Ok(())
    }

    /// Removes the service with its replicas.
    fn forget(&mut self, service: &Name) {
        self.services.remove(service);
    }

    fn scale(&mut self, now: Timestamp, order: &ScaleOrder) -> Result<(), ActuateError> {
        let (fleet, last) = self.at(now, &order.service)?;
        if last.admits(order)? {
            fleet.resize(now, order.to);
            last.set(order);
        }
        Ok(())
    }

    fn status(&mut self, now: Timestamp, service: &Name) -> Option<ReplicaStatus> {
        self.at(now, service).ok().map(|(fleet, _)| fleet.status())
    }
}

#[cfg(test)]
mod tests;
