use axum::{Json, extract::State};
use haggle_model::Lease;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    extract::Path,
    openapi::{ListProblems, ReadProblems},
    problem::Answer,
    state::Api,
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(get)).routes(routes!(leases))
}

/// Leases.
#[derive(Serialize, ToSchema)]
struct Leases {
    /// By their ids.
    items: Vec<Lease>,
}

/// Look at a negotiation
///
/// What was demanded, who was asked, what they answered, and what came of it.
#[utoipa::path(
    get,
    path = "/v1/negotiations/{id}",
    tag = "negotiation",
    operation_id = "get_negotiation",
    params(("id" = String, Path, description = "The negotiation, as verdicts, leases and decisions name it")),
    responses((status = 200, description = "The negotiation", body = Object), ReadProblems)
)]
async fn get(State(api): State<Api>, Path(id): Path<String>) -> Answer<Json<Value>> {
    api.ask(move |host| host.negotiation(&id)).await.map(Json)
}

/// List the leases
///
/// Capacity that is held or agreed, and not over.
#[utoipa::path(
    get,
    path = "/v1/leases",
    tag = "negotiation",
    operation_id = "list_leases",
    responses((status = 200, description = "Leases", body = Leases), ListProblems)
)]
async fn leases(State(api): State<Api>) -> Answer<Json<Leases>> {
    let items = api.ask(|host| Ok(host.leases())).await?;
    Ok(Json(Leases { items }))
}
