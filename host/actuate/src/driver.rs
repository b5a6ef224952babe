use std::{
    collections::BTreeMap,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{Mutex, PoisonError},
};

use haggle_model::{Name, Quantities, Service, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{ActuateError, Actuator, ReplicaStatus, ScaleOrder};

/// Driver work that may take a while.
pub type Work<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The target of a service.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// The service as described.
    pub service: Service,
    /// The number of replicas.
    pub replicas: u32,
    /// The resources of each replica; a driver changes them in place if it can.
    pub resources: Quantities,
    /// The sequence number of the decision in the journal; 0 before the first one. Actions of one service
    /// never descend.
    pub sequence: u64,
}

/// One replica of a service, with its own identity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Instance {
    /// Distinguishes the replica from all others of its service, including earlier ones.
    pub id: String,
    /// The address on which it serves requests, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub address: Option<SocketAddr>,
    /// Its resources.
    pub resources: Quantities,
    /// Whether it serves requests.
    pub ready: bool,
}

/// Carries out decisions and observes replicas. Every method may be called repeatedly at any time, and
/// concurrently for different services.
pub trait Driver: Send + Sync {
    /// Brings a service to the action's target. The first action of a service starts managing it: its
    /// replicas are those that run already.
    fn apply(&self, now: Timestamp, action: Action) -> Work<'_, Result<(), ActuateError>>;

    /// Stops managing a service. Real replicas keep running.
    fn forget(&self, service: Name) -> Work<'_, ()>;

    /// Returns the number of replicas of each service.
    fn observe(&self, now: Timestamp) -> Work<'_, Vec<(Name, ReplicaStatus)>>;

    /// Returns the number of replicas of a service; `None` if the driver does not manage it.
    fn status(&self, now: Timestamp, service: &Name) -> Option<ReplicaStatus>;

    /// Returns at most `most` replicas of a service.
    fn replicas(&self, now: Timestamp, service: &Name, most: usize) -> Vec<Instance>;
}

/// A driver over an [`Actuator`], which acts at once and only counts replicas. The replicas are identified by
/// their index.
pub struct Immediate<A> {
    actuator: Mutex<A>,
    services: Mutex<BTreeMap<Name, (u64, Quantities)>>,
}

impl<A: Actuator> Immediate<A> {
    /// Creates a driver over an actuator.
    pub fn new(actuator: A) -> Self {
        Self { actuator: Mutex::new(actuator), services: Mutex::default() }
    }

    fn act(&self, now: Timestamp, action: &Action) -> Result<(), ActuateError> {
        let Action { service, replicas, resources, sequence } = action;
        let mut actuator = self.actuator.lock().unwrap_or_else(PoisonError::into_inner);
        let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        let known = services.insert(service.name.clone(), (*sequence, resources.clone()));
        actuator.track(now, service, *replicas)?;
        let from = actuator.status(now, &service.name).unwrap_or_default().desired;
        // The first action only establishes the replicas, and actions without a decision change nothing.
        if known.is_none() || *sequence == 0 || from == *replicas {
            return Ok(());
        }
        let order =
            ScaleOrder { service: service.name.clone(), from, to: *replicas, sequence: *sequence };
        match actuator.scale(now, &order) {
            Ok(()) | Err(ActuateError::Superseded { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl<A: Actuator> Driver for Immediate<A> {
    fn apply(&self, now: Timestamp, action: Action) -> Work<'_, Result<(), ActuateError>> {
        Box::pin(async move { self.act(now, &action) })
    }

    fn forget(&self, service: Name) -> Work<'_, ()> {
        Box::pin(async move {
            self.actuator.lock().unwrap_or_else(PoisonError::into_inner).forget(&service);
            self.services.lock().unwrap_or_else(PoisonError::into_inner).remove(&service);
        })
    }

    fn observe(&self, now: Timestamp) -> Work<'_, Vec<(Name, ReplicaStatus)>> {
        Box::pin(async move {
            let services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
            let names: Vec<Name> = services.keys().cloned().collect();
            drop(services);
            let mut actuator = self.actuator.lock().unwrap_or_else(PoisonError::into_inner);
            let status = |name: Name| Some((name.clone(), actuator.status(now, &name)?));
            names.into_iter().filter_map(status).collect()
        })
    }

    fn status(&self, now: Timestamp, service: &Name) -> Option<ReplicaStatus> {
        self.actuator.lock().unwrap_or_else(PoisonError::into_inner).status(now, service)
    }

    fn replicas(&self, now: Timestamp, service: &Name, most: usize) -> Vec<Instance> {
        let Some(status) = self.status(now, service) else { return Vec::new() };
        let services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        let resources = services.get(service).map(|(_, used)| used.clone()).unwrap_or_default();
        let replica = |place: u32| Instance {
            id: format!("{service}-{place}"),
            address: None,
            resources: resources.clone(),
            ready: place < status.ready,
        };
        (0..status.desired).take(most).map(replica).collect()
    }
}
