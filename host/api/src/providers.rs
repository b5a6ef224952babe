use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use haggle_control::{Change, ReclaimRequest, Reclaimed};
use haggle_model::{Name, Provider};
use haggle_runtime::Host;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    document_views::DocumentView,
    extract::{self, By, Document, Path},
    openapi::{ChangeProblems, ListProblems, ReadProblems, SendProblems, WriteProblems},
    problem::Answer,
    state::{Api, SharedJson, written_json},
    views::ProviderView,
};

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(put, get, delete))
        .routes(routes!(reclaim))
        .routes(routes!(restock))
}

/// All providers.
#[derive(Serialize, ToSchema)]
struct Providers {
    /// The providers, ordered by name.
    items: Vec<ProviderView>,
}

/// List the providers
///
/// Returns each provider's description and its current capacity.
#[utoipa::path(
    get,
    path = "/v1/providers",
    tag = "providers",
    operation_id = "list_providers",
    responses((status = 200, description = "Every provider, by name", body = Providers), ListProblems)
)]
async fn list(State(api): State<Api>) -> Answer<SharedJson> {
    let providers = |host: &Host| {
        let (state, now) = (host.snapshot(), host.now());
        let view = |provider: &Arc<Provider>| ProviderView::new(&state, now, provider);
        written_json(&Providers { items: state.catalog().providers().map(view).collect() })
    };
    api.shared_json(&api.large.providers, providers).await
}

/// Create or replace a provider
///
/// Sets the provider and its compute units. The body may omit `name`.
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
            "resources": {"cpu_cores": 4, "memory_bytes": "16Gi"},
            "cost_per_hour": 0.19,
            "interruption_rate": 0.01,
            "interruption_notice": "2m"
        }]
    })),
    responses(
        (status = 201, description = "Created", body = Provider),
        (status = 200, description = "Replaced", body = Provider),
        WriteProblems,
    )
)]
async fn put(
    State(api): State<Api>,
    By(by): By,
    Path(name): Path<Name>,
    body: Document,
) -> Answer<(StatusCode, Json<DocumentView<Provider>>)> {
    let provider: Provider = body.named(&[("name", &name)])?;
    let stored = DocumentView::new(provider.clone());
    let status = api.put(by, Change::PutProvider(provider)).await?;
    Ok((status, Json(stored)))
}

/// Get a provider
///
/// Returns the provider's description and its current capacity. A reclaim changes the status, not the
/// description.
#[utoipa::path(
    get,
    path = "/v1/providers/{name}",
    tag = "providers",
    operation_id = "get_provider",
    params(("name" = Name, Path, description = "The provider", example = "north")),
    responses((status = 200, description = "The provider", body = ProviderView), ReadProblems)
)]
async fn get(State(api): State<Api>, Path(name): Path<Name>) -> Answer<Json<ProviderView>> {
    let state = api.snapshot();
    let provider = state.catalog().provider(&name)?;
    Ok(Json(ProviderView::new(&state, api.host.now(), provider)))
}

/// Delete a provider
///
/// The provider receives no further requests. Leases of its compute units continue until they end.
#[utoipa::path(
    delete,
    path = "/v1/providers/{name}",
    tag = "providers",
    operation_id = "delete_provider",
    params(("name" = Name, Path, description = "The provider", example = "north")),
    responses((status = 204, description = "Deleted"), ChangeProblems)
)]
async fn delete(State(api): State<Api>, By(by): By, Path(name): Path<Name>) -> Answer<StatusCode> {
    api.delete(by, Change::DeleteProvider(name)).await
}

/// Reclaim compute units
///
/// A provider announces that it takes back this number of a unit from a given time on, in addition to earlier
/// reclaims. Leases that no longer fit end at that time, lower tiers first; before that, their holders
/// negotiate for replacements.
#[utoipa::path(
    post,
    path = "/v1/providers/{name}/reclaims",
    tag = "providers",
    operation_id = "reclaim_units",
    params(("name" = Name, Path, description = "The provider", example = "north")),
    request_body(content = ReclaimRequest, example = json!({"unit": "standard-4", "count": 2})),
    responses((status = 200, description = "The effect of the reclaim", body = Reclaimed), SendProblems)
)]
async fn reclaim(
    State(api): State<Api>,
    By(by): By,
    Path(name): Path<Name>,
    extract::Json(request): extract::Json<ReclaimRequest>,
) -> Answer<Json<Reclaimed>> {
    api.finish(|host| async move { host.reclaim(by, name, request).await }).await.map(Json)
}

/// Cancel the reclaims of a unit
///
/// A provider restores what it had reclaimed of a unit: announced reclaims are void, and reclaimed units are
/// available again. Leases that have ended stay ended. Repeating the request has no effect.
#[utoipa::path(
    delete,
    path = "/v1/providers/{name}/reclaims/{unit}",
    tag = "providers",
    operation_id = "restock_units",
    params(
        ("name" = Name, Path, description = "The provider", example = "north"),
        ("unit" = Name, Path, description = "The unit", example = "standard-4"),
    ),
    responses((status = 204, description = "All units are available again"), ChangeProblems)
)]
async fn restock(
    State(api): State<Api>,
    By(by): By,
    Path((name, unit)): Path<(Name, Name)>,
) -> Answer<StatusCode> {
    api.finish(|host| async move { host.restock(by, name, unit).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}
