use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use haggle_control::{Progress, ScalingRequest, ScalingVerdict, ScalingWindow};
use haggle_runtime::HostError;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Problem,
    extract::{By, Json, Path, prefers_async},
    openapi::{ChangeProblems, ReadProblems, SendProblems},
    problem::Answer,
    state::Api,
};

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(request))
        .routes(routes!(get, cancel))
        .routes(routes!(amend))
}

/// Ask to scale a service
///
/// The gate: the answer comes when everybody concerned has agreed, or the negotiation has ended without
/// agreement, at its `deadline` at the latest. `approved` is all that was asked for, `reduced` a part,
/// `denied` nothing; `reasons` say why. With `Prefer: respond-async` the answer comes as soon as it is on
/// disk that it is negotiated, and the verdict is found where it points to, even if the host is stopped in
/// between; an event tells when. With `dry_run` everybody is asked, but nothing is held, reserved or scaled;
/// the verdict says so. It is kept nowhere, so `dry_run` is answered with the verdict (200) in any case. A host
/// that stops answers whoever waits with a 503, whose `Location` is where the verdict is found once it runs again.
///
/// What is asked for with a `start` is reserved: agreed now, leased for that window, scaled when it begins, and
/// over when it ends. It stands whatever is needed before; a request for a time for which something is agreed
/// already is refused (409) and says what to cancel. `windows` asks for several windows at once: each is
/// negotiated by itself and stands by itself, whatever comes of the others.
#[utoipa::path(
    post,
    path = "/v1/scaling-requests",
    tag = "negotiation",
    operation_id = "request_scaling",
    params(("prefer" = Option<String>, Header, description = "`respond-async`: do not wait for the verdict", example = "respond-async")),
    request_body(
        content = ScalingRequest,
        examples(
            ("now" = (value = json!({"service": "checkout", "replicas": 12, "duration": "30m", "dry_run": true}))),
            ("later" = (value = json!({"service": "checkout", "replicas": 80, "start": "2026-11-27T18:00:00Z", "duration": "2h"}))),
            ("windows" = (value = json!({"service": "checkout", "windows": [
                {"start": "2026-11-27T18:00:00Z", "duration": "2h", "replicas": 80},
                {"start": "2026-11-28T09:00:00Z", "end": "2026-11-28T12:00:00Z", "load": {"requests_per_second": 900}}
            ]}))),
        )
    ),
    responses(
        (status = 200, description = "The verdict", body = ScalingVerdict),
        (
            status = 202,
            description = "It is being negotiated",
            body = Progress,
            headers(("location" = String, description = "Where to look for the verdict")),
        ),
        SendProblems,
    )
)]
async fn request(
    State(api): State<Api>,
    By(by): By,
    headers: HeaderMap,
    Json(request): Json<ScalingRequest>,
) -> Answer<Response> {
    if !prefers_async(&headers) || request.dry_run {
        let dry_run = request.dry_run;
        let verdict = api.host.request(by, request).await;
        let verdict = verdict.map_err(|error| unanswered(error, dry_run))?;
        return Ok(axum::Json(verdict).into_response());
    }
    let progress = api.host.accept(by, request).await?;
    let location = [(header::LOCATION, location(&progress.negotiation))];
    Ok((StatusCode::ACCEPTED, location, axum::Json(progress)).into_response())
}

/// Why there is no verdict. A host that stops says where the verdict is found later.
fn unanswered(error: HostError, dry_run: bool) -> Problem {
    match &error {
        HostError::Stopped { .. } if dry_run => HostError::Closing.into(),
        HostError::Stopped { request } => {
            let location = location(request);
            Problem::from(error).at(location)
        }
        _ => error.into(),
    }
}

fn location(request: &str) -> String {
    format!("/v1/scaling-requests/{request}")
}

/// Look at a scaling request
///
/// Whether it is still being negotiated, and the verdict once there is one.
#[utoipa::path(
    get,
    path = "/v1/scaling-requests/{id}",
    tag = "negotiation",
    operation_id = "get_scaling_request",
    params(("id" = String, Path, description = "The request, which is also its negotiation")),
    responses((status = 200, description = "Where it stands", body = Progress), ReadProblems)
)]
async fn get(State(api): State<Api>, Path(id): Path<String>) -> Answer<axum::Json<Progress>> {
    api.read(move |host| Ok(host.progress(&id)?)).await.map(axum::Json)
}

/// Cancel a scaling request
///
/// Its negotiations end, and what was agreed is given back as far as it is not over: leases for later at once,
/// and what has begun is scaled to what is needed without it. The id of one window's negotiation cancels that
/// window alone. The second time changes nothing.
#[utoipa::path(
    delete,
    path = "/v1/scaling-requests/{id}",
    tag = "negotiation",
    operation_id = "cancel_scaling_request",
    params(("id" = String, Path, description = "The request, or the negotiation of one of its windows")),
    responses((status = 204, description = "It is cancelled"), ChangeProblems)
)]
async fn cancel(State(api): State<Api>, By(by): By, Path(id): Path<String>) -> Answer<StatusCode> {
    api.finish(|host| async move { host.cancel(by, &id).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Change a reservation
///
/// Negotiates for the new window and what is wanted in it, and answers with the verdict as to a scaling request.
/// The reservation stands as it was until that is agreed, and stays so if it is denied. It keeps its id. A
/// request of several windows, and one that reserves nothing, cannot be changed (409).
#[utoipa::path(
    put,
    path = "/v1/scaling-requests/{id}/window",
    tag = "negotiation",
    operation_id = "change_reservation",
    params(("id" = String, Path, description = "The request that reserves")),
    request_body(content = ScalingWindow, example = json!({
        "start": "2026-11-27T17:00:00Z", "duration": "3h", "replicas": 60
    })),
    responses((status = 200, description = "The verdict", body = ScalingVerdict), SendProblems)
)]
async fn amend(
    State(api): State<Api>,
    By(by): By,
    Path(id): Path<String>,
    Json(window): Json<ScalingWindow>,
) -> Answer<axum::Json<ScalingVerdict>> {
    let verdict = api.host.amend(by, &id, window).await;
    verdict.map(axum::Json).map_err(|error| unanswered(error, false))
}
