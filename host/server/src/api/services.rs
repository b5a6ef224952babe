use axum::{Json, extract::State, http::StatusCode};
use haggle_model::{Name, Service};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::ServiceView;

use super::{
    extract::{Document, Path},
    openapi::{ChangeProblems, ListProblems, ReadProblems, WriteProblems},
    problem::Answer,
    state::{Api, status},
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(list)).routes(routes!(put, get, delete))
}

/// Every service.
#[derive(Serialize, ToSchema)]
struct Services {
    /// By name.
    items: Vec<ServiceView>,
}

/// List the services
///
/// Each as it was described, and where it stands.
#[utoipa::path(
    get,
    path = "/v1/services",
    tag = "services",
    operation_id = "list_services",
    responses((status = 200, description = "Every service, by name", body = Services), ListProblems)
)]
async fn list(State(api): State<Api>) -> Answer<Json<Services>> {
    let items = api.ask(|host| Ok(host.services())).await?;
    Ok(Json(Services { items }))
}

/// Describe a service
///
/// Adds the service or replaces its description. The body may leave `name` out.
#[utoipa::path(
    put,
    path = "/v1/services/{name}",
    tag = "services",
    operation_id = "put_service",
    params(("name" = Name, Path, description = "The service", example = "checkout")),
    request_body(content = Service, example = json!({
        "replica": {
            "uses": {"cpu_cores": "500m", "memory_bytes": "512Mi"},
            "serves": {"requests_per_second": 100},
            "startup": "30s"
        },
        "replicas": {"min": 2, "max": 40},
        "tier": "gold",
        "objective": {"target": 0.999}
    })),
    responses(
        (status = 201, description = "It is new", body = Service),
        (status = 200, description = "It was there before", body = Service),
        WriteProblems,
    )
)]
async fn put(
    State(api): State<Api>,
    Path(name): Path<Name>,
    body: Document,
) -> Answer<(StatusCode, Json<Service>)> {
    let service: Service = body.named(&[("name", &name)])?;
    let stored = service.clone();
    let put = api.ask(move |host| host.put_service(service)).await?;
    Ok((status(put), Json(stored)))
}

/// Look at a service
///
/// As it was described, and where it stands.
#[utoipa::path(
    get,
    path = "/v1/services/{name}",
    tag = "services",
    operation_id = "get_service",
    params(("name" = Name, Path, description = "The service", example = "checkout")),
    responses((status = 200, description = "The service", body = ServiceView), ReadProblems)
)]
async fn get(State(api): State<Api>, Path(name): Path<Name>) -> Answer<Json<ServiceView>> {
    api.ask(move |host| host.service(&name)).await.map(Json)
}

/// Delete a service
///
/// Refused while a dependency touches it.
#[utoipa::path(
    delete,
    path = "/v1/services/{name}",
    tag = "services",
    operation_id = "delete_service",
    params(("name" = Name, Path, description = "The service", example = "checkout")),
    responses((status = 204, description = "It is gone"), ChangeProblems)
)]
async fn delete(State(api): State<Api>, Path(name): Path<Name>) -> Answer<StatusCode> {
    api.ask(move |host| host.delete_service(&name)).await?;
    Ok(StatusCode::NO_CONTENT)
}
