use axum::extract::State;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{ScalingRequest, ScalingVerdict};

use super::{extract::Json, openapi::SendProblems, problem::Answer, state::Api};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(request))
}

/// Ask to scale a service
///
/// The gate: the answer comes when everybody concerned has agreed, or the negotiation has ended without
/// agreement. `approved` is all that was asked for, `reduced` a part, `denied` nothing; `reasons` say why.
/// With `dry_run` the negotiation is held, but nothing is reserved and nothing scaled.
#[utoipa::path(
    post,
    path = "/v1/scaling-requests",
    tag = "negotiation",
    operation_id = "request_scaling",
    request_body(
        content = ScalingRequest,
        example = json!({"service": "checkout", "replicas": 12, "lease": "30m", "dry_run": true})
    ),
    responses((status = 200, description = "The verdict", body = ScalingVerdict), SendProblems)
)]
async fn request(
    State(api): State<Api>,
    Json(request): Json<ScalingRequest>,
) -> Answer<axum::Json<ScalingVerdict>> {
    api.ask(move |host| host.request_scaling(request)).await.map(axum::Json)
}
