use axum::{Json, extract::State, http::StatusCode};
use haggle_model::{Name, Provider};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{ReclaimRequest, Reclaimed};

use super::{
    extract::{Document, Path},
    openapi::{ChangeProblems, ListProblems, ReadProblems, SendProblems, WriteProblems},
    problem::Answer,
    state::{Api, status},
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(put, get, delete))
        .routes(routes!(reclaim))
}

/// Every provider.
#[derive(Serialize, ToSchema)]
struct Providers {
    /// By name.
    items: Vec<Provider>,
}

/// List the providers
#[utoipa::path(
    get,
    path = "/v1/providers",
    tag = "providers",
    operation_id = "list_providers",
    responses((status = 200, description = "Every provider, by name", body = Providers), ListProblems)
)]
async fn list(State(api): State<Api>) -> Answer<Json<Providers>> {
    let items = api.ask(|host| Ok(host.providers())).await?;
    Ok(Json(Providers { items }))
}

/// Describe a provider
///
/// Adds the provider and its compute units, or replaces them. The body may leave `name` out.
#[utoipa::path(
    put,
    path = "/v1/providers/{name}",
    tag = "providers",
    operation_id = "put_provider",
    params(("name" = Name, Path, description = "The provider", example = "north")),
    request_body(content = Provider, example = json!({
        "location": "eu-north",
        "units": [{
            "id": "standard-4",
            "count": 20,
            "has": {"cpu_cores": 4, "memory_bytes": "16Gi"},
            "cost_per_hour": 0.19,
            "interruption_rate": 0.01,
            "interruption_notice": "2m"
        }]
    })),
    responses(
        (status = 201, description = "It is new", body = Provider),
        (status = 200, description = "It was there before", body = Provider),
        WriteProblems,
    )
)]
async fn put(
    State(api): State<Api>,
    Path(name): Path<Name>,
    body: Document,
) -> Answer<(StatusCode, Json<Provider>)> {
    let provider: Provider = body.named(&[("name", &name)])?;
    let stored = provider.clone();
    let put = api.ask(move |host| host.put_provider(provider)).await?;
    Ok((status(put), Json(stored)))
}

/// Look at a provider
#[utoipa::path(
    get,
    path = "/v1/providers/{name}",
    tag = "providers",
    operation_id = "get_provider",
    params(("name" = Name, Path, description = "The provider", example = "north")),
    responses((status = 200, description = "The provider", body = Provider), ReadProblems)
)]
async fn get(State(api): State<Api>, Path(name): Path<Name>) -> Answer<Json<Provider>> {
    api.ask(move |host| host.provider(&name)).await.map(Json)
}

/// Delete a provider
///
/// It gets no more business; leases of its compute units run on until they end.
#[utoipa::path(
    delete,
    path = "/v1/providers/{name}",
    tag = "providers",
    operation_id = "delete_provider",
    params(("name" = Name, Path, description = "The provider", example = "north")),
    responses((status = 204, description = "It is gone"), ChangeProblems)
)]
async fn delete(State(api): State<Api>, Path(name): Path<Name>) -> Answer<StatusCode> {
    api.ask(move |host| host.delete_provider(&name)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take compute units back
///
/// A provider announces that so many of a unit are gone from a time on. Leases that do not fit into the rest
/// end then, those of lower tiers first, and their holders negotiate for others before that.
#[utoipa::path(
    post,
    path = "/v1/providers/{name}/reclaims",
    tag = "providers",
    operation_id = "reclaim_units",
    params(("name" = Name, Path, description = "The provider", example = "north")),
    request_body(content = ReclaimRequest, example = json!({"unit": "standard-4", "count": 2})),
    responses((status = 200, description = "What that means", body = Reclaimed), SendProblems)
)]
async fn reclaim(
    State(api): State<Api>,
    Path(name): Path<Name>,
    super::extract::Json(request): super::extract::Json<ReclaimRequest>,
) -> Answer<Json<Reclaimed>> {
    api.ask(move |host| host.reclaim(&name, &request)).await.map(Json)
}
