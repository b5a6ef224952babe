use std::collections::BTreeMap;

use haggle_model::{Name, Service, Timestamp};

use crate::{
    ActuateError, Actuator, ReplicaStatus, ScaleOrder,
    actuator::{LastOrder, in_range},
    fleet::Fleet,
};

/// Replicas that exist on paper only. A new one serves once its service's start-up time has passed
/// since the order; one that is scaled in is gone at once, those that are still starting first; one
/// that fails is replaced by another that has to start.
///
/// A clock that is set back is followed: what is under way takes as long as it would have.
#[derive(Debug, Default)]
pub struct Simulator {
    services: BTreeMap<Name, (Fleet, LastOrder)>,
}

impl Simulator {
    /// Without services.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a replica of the service fail at `at`, or as soon as may be where that is past. It is a
    /// ready one, or the one started last where none is ready; without replicas nothing happens.
    ///
    /// # Errors
    /// [`ActuateError::Unknown`].
    pub fn fail_at(&mut self, at: Timestamp, service: &Name) -> Result<(), ActuateError> {
        let unknown = || ActuateError::Unknown(service.clone());
        let (fleet, _) = self.services.get_mut(service).ok_or_else(unknown)?;
        fleet.schedule_failure(at);
        Ok(())
    }

    /// When the number of ready replicas of any service changes next without an order.
    #[must_use]
    pub fn next_event(&self) -> Option<Timestamp> {
        self.services.values().filter_map(|(fleet, _)| fleet.next_event()).min()
    }

    /// The fleet of a service, brought to the present.
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

    /// Its replicas are gone.
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
