use haggle_model::{Name, Replicas, Service, Timestamp};
use serde::{Deserialize, Serialize};

/// Carries out decisions.
pub trait Actuator: Send {
    /// Takes over a service: its replicas are whatever runs already, or `replicas` that are ready where
    /// there is no telling. Of a service that it has already, it learns what changed in the
    /// description, and leaves the replicas alone.
    ///
    /// # Errors
    /// [`ActuateError`]; nothing has changed then.
    fn track(
        &mut self,
        now: Timestamp,
        service: &Service,
        replicas: u32,
    ) -> Result<(), ActuateError>;

    /// Lets go of a service. What runs is left as it is where it is real.
    fn forget(&mut self, service: &Name);

    /// Brings a service to `order.to` replicas. An order that comes again is carried out once.
    ///
    /// # Errors
    /// [`ActuateError`]; nothing has changed then.
    fn scale(&mut self, now: Timestamp, order: &ScaleOrder) -> Result<(), ActuateError>;

    /// How many replicas a service has; none where it is not tracked.
    fn status(&mut self, now: Timestamp, service: &Name) -> Option<ReplicaStatus>;
}

/// An order to scale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScaleOrder {
    /// The service.
    pub service: Name,
    /// How many replicas the decision saw: for the log, not a condition.
    pub from: u32,
    /// How many there are to be.
    pub to: u32,
    /// The place of the decision in the journal. Orders of one service ascend.
    pub sequence: u64,
}

/// How many replicas there are. Those that fail are replaced, so `desired` is always `starting + ready`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReplicaStatus {
    /// How many were ordered.
    pub desired: u32,
    /// How many of them do not serve yet.
    pub starting: u32,
    /// How many of them serve.
    pub ready: u32,
}

/// Why an order is not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ActuateError {
    /// Nobody said that there is such a service.
    #[error("service {0} is not tracked: add it before it is scaled")]
    Unknown(Name),
    /// A newer order was carried out already.
    #[error(
        "service {service}: order {sequence} comes after order {latest} was carried out: decide again"
    )]
    Superseded {
        /// The service.
        service: Name,
        /// The order's place in the journal.
        sequence: u64,
        /// That of the newest order.
        latest: u64,
    },
    /// Two different orders of the same number.
    #[error(
        "service {service}: order {sequence} was to {before} replicas before and is to {now} now: number each decision once"
    )]
    Contradiction {
        /// The service.
        service: Name,
        /// The order's place in the journal.
        sequence: u64,
        /// How many replicas it was for.
        before: u32,
        /// How many it is for.
        now: u32,
    },
    /// An absurd number of replicas.
    #[error("service {service}: {replicas} replicas are more than the {most} that are believed", most = Replicas::MOST)]
    TooMany {
        /// The service.
        service: Name,
        /// How many were ordered.
        replicas: u32,
    },
}

/// The last order that was carried out for a service: what makes orders idempotent and ordered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LastOrder(Option<(u64, u32)>);

impl LastOrder {
    /// Whether the order is to be carried out: not where it was already.
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
