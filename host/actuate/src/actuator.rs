use haggle_model::{Name, Replicas, Service, Timestamp};
use serde::{Deserialize, Serialize};

/// Carries out decisions.
pub trait Actuator: Send {
    /// Starts tracking a service: its replicas are those that run already, or `replicas` ready ones if the
    /// actuator cannot tell. For a service that is already tracked, updates the description and leaves the
    /// replicas unchanged.
    ///
    /// # Errors
    /// [`ActuateError`]; nothing has changed then.
    fn track(
        &mut self,
        now: Timestamp,
        service: &Service,
        replicas: u32,
    ) -> Result<(), ActuateError>;

    /// Stops tracking a service. Real replicas keep running.
    fn forget(&mut self, service: &Name);

    /// Scales a service to `order.to` replicas. A repeated order is carried out once.
    ///
    /// # Errors
    /// [`ActuateError`]; nothing has changed then.
    fn scale(&mut self, now: Timestamp, order: &ScaleOrder) -> Result<(), ActuateError>;

    /// Returns the number of replicas of a service; `None` if it is not tracked.
    fn status(&mut self, now: Timestamp, service: &Name) -> Option<ReplicaStatus>;
}

/// An order to scale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScaleOrder {
    /// The service.
    pub service: Name,
    /// Number of replicas when the decision was made. For the log; not a condition.
    pub from: u32,
    /// Requested number of replicas.
    pub to: u32,
    /// The sequence number of the decision in the journal. Orders of one service ascend.
    pub sequence: u64,
}

/// The replicas of a service. Failed replicas are replaced, so `desired` is always `starting + ready`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReplicaStatus {
    /// Number of replicas ordered.
    pub desired: u32,
    /// Number of replicas that are starting.
    pub starting: u32,
    /// Number of replicas that serve requests.
    pub ready: u32,
}

/// The reason why an order is not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ActuateError {
    /// The service is not tracked.
    #[error("service {0} is not tracked: add it before it is scaled")]
    Unknown(Name),
    /// A newer order has already been carried out.
    #[error(
        "service {service}: order {sequence} comes after order {latest} was carried out: decide again"
    )]
    Superseded {
        /// The service.
        service: Name,
        /// The sequence number of the order.
        sequence: u64,
        /// The sequence number of the newest order.
        latest: u64,
    },
    /// Two different orders have the same sequence number.
    #[error(
        "service {service}: order {sequence} was to {before} replicas before and is to {now} now: number each decision once"
    )]
    Contradiction {
        /// The service.
        service: Name,
        /// The sequence number of the orders.
        sequence: u64,
        /// Number of replicas in the earlier order.
        before: u32,
        /// Number of replicas in this order.
        now: u32,
    },
    /// The number of replicas exceeds the maximum.
    #[error("service {service}: {replicas} replicas are more than the {most} that are believed", most = Replicas::MOST)]
    TooMany {
        /// The service.
        service: Name,
        /// Number of replicas ordered.
        replicas: u32,
    },
}

/// The last order carried out for a service, which makes orders idempotent and ordered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LastOrder(Option<(u64, u32)>);

impl LastOrder {
    /// Whether to carry out the order; `false` for a repeated one.
    pub(crate) fn admits(self, order: &ScaleOrder) -> Result<bool, ActuateError> {
        let service = || order.service.clone();
        let (sequence, now) = (order.sequence, order.to);
        match self.0 {
            Some((latest, _)) if sequence < latest => {
                Err(ActuateError::Superseded { service: service(), sequence, latest })
            }
            Some((latest, before)) if sequence == latest && now != before => {
                Err(ActuateError::Contradiction { service: service(), sequence, before, now })
            }
            Some((latest, _)) if sequence == latest => Ok(false),
            _ => {
                in_range(&order.service, now)?;
                Ok(true)
            }
        }
    }

    pub(crate) fn set(&mut self, order: &ScaleOrder) {
        self.0 = Some((order.sequence, order.to));
    }
}

pub(crate) fn in_range(service: &Name, replicas: u32) -> Result<(), ActuateError> {
    if replicas > Replicas::MOST {
        return Err(ActuateError::TooMany { service: service.clone(), replicas });
    }
    Ok(())
}
