use axum::{Json, extract::State, http::StatusCode};
use haggle_control::Change;
use haggle_model::{Name, ScalingPolicy};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    extract::{By, Document, Path},
    openapi::{ListProblems, ReadProblems, WriteProblems},
    problem::Answer,
    state::Api,
};

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(list)).routes(routes!(put, get))
}

/// All scaling policies.
#[derive(Serialize, ToSchema)]
struct Policies {
    /// The policies, ordered by name.
    items: Vec<ScalingPolicy>,
}

/// List the scaling policies
#[utoipa::path(
    get,
    path = "/v1/policies",
    tag = "policies",
    operation_id = "list_policies",
    responses((status = 200, description = "Every policy, by name", body = Policies), ListProblems)
)]
async fn list(State(api): State<Api>) -> Json<Policies> {
    let state = api.snapshot();
    let items = state.catalog().policies().map(|policy| policy.as_ref().clone()).collect();
    Json(Policies { items })
}

/// Create or replace a scaling policy
///
/// Omitted fields take their values from the default policy. The policy applies from the next reconcile pass
/// on.
#[utoipa::path(
    put,
    path = "/v1/policies/{name}",
    tag = "policies",
    operation_id = "put_policy",
    params(("name" = Name, Path, description = "The policy", example = "careful")),
    request_body(content = ScalingPolicy, example = json!({
        "forecasting": {"step": "1m", "horizon": "30m", "levels": [0.8, 0.95]},
        "scaling": {"quantile": 0.975, "target_utilization": 0.7, "stabilization": "5m"}
    })),
    responses(
        (status = 201, description = "Created", body = ScalingPolicy),
        (status = 200, description = "Replaced", body = ScalingPolicy),
        WriteProblems,
    )
)]
async fn put(
    State(api): State<Api>,
    By(by): By,
    Path(name): Path<Name>,
    body: Document,
) -> Answer<(StatusCode, Json<ScalingPolicy>)> {
    let policy: ScalingPolicy = body.named(&[("name", &name)])?;
    let stored = policy.clone();
    let status = api.put(by, Change::PutPolicy(policy)).await?;
    Ok((status, Json(stored)))
}

/// Get a scaling policy
#[utoipa::path(
    get,
    path = "/v1/policies/{name}",
    tag = "policies",
    operation_id = "get_policy",
    params(("name" = Name, Path, description = "The policy", example = "default")),
    responses((status = 200, description = "The policy", body = ScalingPolicy), ReadProblems)
)]
async fn get(State(api): State<Api>, Path(name): Path<Name>) -> Answer<Json<ScalingPolicy>> {
    let state = api.snapshot();
    Ok(Json(state.catalog().policy(&name)?.as_ref().clone()))
}
