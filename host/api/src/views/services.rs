use std::sync::Arc;

use haggle_actuate::ReplicaStatus;
use haggle_control::ServiceState;
use haggle_model::{Quantities, Service, Tier};
use haggle_runtime::Host;
use serde::Serialize;
use utoipa::ToSchema;

use crate::document_views::DocumentView;

/// A service and its status.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct ServiceView {
    /// The service as described.
    #[serde(flatten)]
    #[schema(value_type = Service)]
    pub(crate) service: DocumentView<Service>,
    /// Its current status.
    pub(crate) status: ServiceStatus,
}

/// The status of a service.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct ServiceStatus {
    /// Its replicas.
    pub(crate) replicas: ReplicaStatus,
    /// Its current tier.
    pub(crate) tier: Tier,
    /// The share of capacity that the tiering plugin assigns to it, 0 to 1.
    pub(crate) share: f64,
    /// The load that was last observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) observed: Option<f64>,
    /// The load for which it is planned.
    pub(crate) planned: Quantities,
    /// The probability that it fails soon, 0 to 1, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) risk: Option<f64>,
    /// The share of requests within capacity over the objective's window, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) compliance: Option<f64>,
}

impl ServiceView {
    /// Builds the view of a service from the host's state.
    pub(crate) fn new(host: &Host, service: &Arc<Service>, state: &ServiceState) -> Self {
        Self {
            status: ServiceStatus {
                replicas: host.status(&service.name),
                tier: state.tier,
                share: state.share,
                observed: state.observed.map(|(_, load)| load),
                planned: state.planned.clone(),
                risk: state.risk,
                compliance: service.objective.map(|_| state.compliance.share()),
            },
            service: DocumentView::new(service.as_ref().clone()),
        }
    }
}
