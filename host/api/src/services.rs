use axum::{Json, extract::State, http::StatusCode};
use haggle_actuate::Instance;
use haggle_control::Change;
use haggle_model::{Name, Service};
use haggle_runtime::Host;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    document_views::DocumentView,
    extract::{By, Document, Path},
    openapi::{ChangeProblems, ListProblems, ReadProblems, WriteProblems},
    problem::Answer,
    state::{Api, SharedJson, written_json},
    views::ServiceView,
};

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(put, get, delete))
        .routes(routes!(replicas))
}

/// All services.
#[derive(Serialize, ToSchema)]
struct Services {
    /// The services, ordered by name.
    items: Vec<ServiceView>,
}

/// The replicas of a service.
#[derive(Serialize, ToSchema)]
struct Replicas {
    /// The replicas, in the driver's order.
    items: Vec<Instance>,
}

/// Maximum number of replicas in one response.
const MOST_REPLICAS: usize = 1000;

/// List the services
///
/// Returns each service's description and status.
#[utoipa::path(
    get,
    path = "/v1/services",
    tag = "services",
    operation_id = "list_services",
    responses((status = 200, description = "Every service, by name", body = Services), ListProblems)
)]
async fn list(State(api): State<Api>) -> Answer<SharedJson> {
    let services = |host: &Host| {
        let state = host.snapshot();
        let view = |(service, of)| ServiceView::new(host, service, of);
        written_json(&Services { items: state.services().map(view).collect() })
    };
    api.shared_json(&api.large.services, services).await
}

/// Create or replace a service
///
/// Sets the service's description. The body may omit `name`.
#[utoipa::path(
    put,
    path = "/v1/services/{name}",
    tag = "services",
    operation_id = "put_service",
    params(("name" = Name, Path, description = "The service", example = "checkout")),
    request_body(content = Service, example = json!({
        "replica": {
            "requests": {"cpu_cores": "500m", "memory_bytes": "512Mi"},
            "capacity": {"requests_per_second": 100},
            "startup": "30s"
        },
        "replicas": {"min": 2, "max": 40},
        "tier": "gold",
        "objective": {"target": 0.999}
    })),
    responses(
        (status = 201, description = "Created", body = Service),
        (status = 200, description = "Replaced", body = Service),
        WriteProblems,
    )
)]
async fn put(
    State(api): State<Api>,
    By(by): By,
    Path(name): Path<Name>,
    body: Document,
) -> Answer<(StatusCode, Json<DocumentView<Service>>)> {
    let service: Service = body.named(&[("name", &name)])?;
    let stored = DocumentView::new(service.clone());
    let status = api.put(by, Change::PutService(service)).await?;
    Ok((status, Json(stored)))
}

/// Get a service
///
/// Returns the service's description and status.
#[utoipa::path(
    get,
    path = "/v1/services/{name}",
    tag = "services",
    operation_id = "get_service",
    params(("name" = Name, Path, description = "The service", example = "checkout")),
    responses((status = 200, description = "The service", body = ServiceView), ReadProblems)
)]
async fn get(State(api): State<Api>, Path(name): Path<Name>) -> Answer<Json<ServiceView>> {
    let state = api.snapshot();
    let (service, of) = state.service(&name)?;
    Ok(Json(ServiceView::new(&api.host, service, of)))
}

/// Delete a service
///
/// Refused while a dependency refers to the service.
#[utoipa::path(
    delete,
    path = "/v1/services/{name}",
    tag = "services",
    operation_id = "delete_service",
    params(("name" = Name, Path, description = "The service", example = "checkout")),
    responses((status = 204, description = "Deleted"), ChangeProblems)
)]
async fn delete(State(api): State<Api>, By(by): By, Path(name): Path<Name>) -> Answer<StatusCode> {
    api.delete(by, Change::DeleteService(name)).await
}

/// List the replicas of a service
///
/// Returns the replicas that the driver reports, at most 1000: each with its id and, if the driver knows it,
/// its address.
#[utoipa::path(
    get,
    path = "/v1/services/{name}/replicas",
    tag = "services",
    operation_id = "list_replicas",
    params(("name" = Name, Path, description = "The service", example = "checkout")),
    responses((status = 200, description = "Its replicas", body = Replicas), ReadProblems)
)]
async fn replicas(State(api): State<Api>, Path(name): Path<Name>) -> Answer<Json<Replicas>> {
    api.snapshot().catalog().service(&name)?;
    Ok(Json(Replicas { items: api.host.replicas(&name, MOST_REPLICAS) }))
}
