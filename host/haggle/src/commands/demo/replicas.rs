//! The simulated replicas, shared so that the demo can make one fail.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use haggle_actuate::{ActuateError, Actuator, ReplicaStatus, ScaleOrder, Simulator};
use haggle_model::{Name, Service, Timestamp};

/// A simulator that the host and the demo share.
#[derive(Clone, Debug, Default)]
pub(super) struct Replicas(Arc<Mutex<Simulator>>);

impl Replicas {
    /// Makes one replica of a service fail.
    pub(super) fn fail(&self, at: Timestamp, service: &Name) {
        if let Err(error) = self.simulator().fail_at(at, service) {
            tracing::debug!(%error, "nothing fails");
        }
    }

    fn simulator(&self) -> MutexGuard<'_, Simulator> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Actuator for Replicas {
    fn track(
        &mut self,
        now: Timestamp,
        service: &Service,
        replicas: u32,
    ) -> Result<(), ActuateError> {
        self.simulator().track(now, service, replicas)
    }

    fn forget(&mut self, service: &Name) {
        self.simulator().forget(service);
    }

    fn scale(&mut self, now: Timestamp, order: &ScaleOrder) -> Result<(), ActuateError> {
        self.simulator().scale(now, order)
    }

    fn status(&mut self, now: Timestamp, service: &Name) -> Option<ReplicaStatus> {
        self.simulator().status(now, service)
    }
}
