use axum::{Json, extract::State};
use haggle_model::{Lease, LeaseState};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    extract::{Path, Query},
    openapi::{ListProblems, ReadProblems},
    problem::Answer,
    state::Api,
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(get))
}

/// Those with parameters.
pub(super) fn lease_routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(leases))
}

/// Which leases.
#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only those that still take capacity: held or confirmed, and not over.
    #[param(default = false)]
    active: bool,
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
/// Capacity that is held or agreed.
#[utoipa::path(
    get,
    path = "/v1/leases",
    tag = "negotiation",
    operation_id = "list_leases",
    params(Which),
    responses((status = 200, description = "Leases", body = Leases), ListProblems)
)]
async fn leases(
    State(api): State<Api>,
    Query(Which { active }): Query<Which>,
) -> Answer<Json<Leases>> {
    let mut items = api.ask(|host| Ok(host.leases())).await?;
    if active {
        items.retain(is_active);
    }
    Ok(Json(Leases { items }))
}

/// The host has already sorted out those whose time is up.
const fn is_active(lease: &Lease) -> bool {
    matches!(lease.state, LeaseState::Held | LeaseState::Confirmed)
}
