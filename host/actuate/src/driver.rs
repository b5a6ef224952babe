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

/// Work of a driver that may take a while.
pub type Work<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a service is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// The service as described.
    pub service: Service,
    /// The number of replicas.
    pub replicas: u32,
    /// What each replica may use; a driver changes it in place where it can.
    pub resources: Quantities,
    /// The place of the decision in the journal; 0 before the first. Actions of one service never descend.
    pub sequence: u64,
}

/// One replica of a service, with an identity of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Instance {
    /// Tells it from all other replicas of its service, also from those before it.
    pub id: String,
    /// Where it serves, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub address: Option<SocketAddr>,
    /// What it may use.
    pub resources: Quantities,
    /// Whether it serves.
    pub ready: bool,
}

/// Carries out what was decided, and sees what is. Every method may be called again at any time, and several
/// at once for different services.
pub trait Driver: Send + Sync {
    /// Brings a service to what the action says. The first action of a service takes it over: its replicas are
    /// whatever runs already.
    fn apply(&self, now: Timestamp, action: Action) -> Work<'_, Result<(), ActuateError>>;

    /// Lets go of a service. What runs is left as it is where it is real.
    fn forget(&self, service: Name) -> Work<'_, ()>;

    /// How many replicas each service has.
    fn observe(&self, now: Timestamp) -> Work<'_, Vec<(Name, ReplicaStatus)>>;

    /// How many replicas a service has; none where the driver does not manage it.
    fn status(&self, now: Timestamp, service: &Name) -> Option<ReplicaStatus>;

    /// The replicas of a service, at most `most` of them.
    fn replicas(&self, now: Timestamp, service: &Name, most: usize) -> Vec<Instance>;
}

/// An [`Actuator`], which acts at once and keeps numbers only, as a driver. Its replicas are told apart by
/// their place.
pub struct Immediate<A> {
    actuator: Mutex<A>,
    services: Mutex<BTreeMap<Name, (u64, Quantities)>>,
}

impl<A: Actuator> Immediate<A> {
    /// Makes a driver of it.
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
        // The first action says what there is, and actions without a decision behind them change nothing.
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
