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

/// Request to scale a service
///
/// The response is the verdict, once all parties have agreed or the negotiation has ended without agreement,
/// at its `deadline` at the latest. `approved` grants the whole request, `reduced` a part and `denied`
/// nothing; `reasons` say why. With `Prefer: respond-async` the host responds as soon as the request is
/// durable. The verdict is then available at the response's `Location`, even if the host restarts meanwhile,
/// and an event reports it. With `dry_run` the host asks all parties but holds, reserves and scales nothing;
/// the verdict says so. The host does not store a dry run, so its response is always the verdict (200). A
/// host that stops answers waiting clients with a 503 whose `Location` has the verdict once the host runs
/// again.
///
/// A request with a `start` makes a reservation: the host negotiates it now, leases capacity for that window,
/// scales the service when the window begins and ends it when the window ends. The reservation holds whatever
/// the service needs before. The host refuses a request for a time that overlaps an existing agreement (409)
/// and names what to cancel. `windows` requests several windows at once; the host negotiates each one
/// independently, and each verdict is independent of the others.
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
            description = "In negotiation",
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

/// The problem when there is no verdict. If the host stops, it gives the location of the later verdict.
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

/// Get a scaling request
///
/// Returns whether the negotiation is in progress, and the verdict once there is one.
#[utoipa::path(
    get,
    path = "/v1/scaling-requests/{id}",
    tag = "negotiation",
    operation_id = "get_scaling_request",
    params(("id" = String, Path, description = "The request, which is also its negotiation")),
    responses((status = 200, description = "The status of the request", body = Progress), ReadProblems)
)]
async fn get(State(api): State<Api>, Path(id): Path<String>) -> Answer<axum::Json<Progress>> {
    api.read(move |host| Ok(host.progress(&id)?)).await.map(axum::Json)
}

/// Cancel a scaling request
///
/// Ends the request's negotiations and releases what was agreed and has not ended. Future leases end at once;
/// for a window that has begun, the service scales to what it needs without the request. The id of one
/// window's negotiation cancels only that window. Repeating the request has no effect.
#[utoipa::path(
    delete,
    path = "/v1/scaling-requests/{id}",
    tag = "negotiation",
    operation_id = "cancel_scaling_request",
    params(("id" = String, Path, description = "The request, or the negotiation of one of its windows")),
    responses((status = 204, description = "Cancelled"), ChangeProblems)
)]
async fn cancel(State(api): State<Api>, By(by): By, Path(id): Path<String>) -> Answer<StatusCode> {
    api.finish(|host| async move { host.cancel(by, &id).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Change a reservation
///
/// Negotiates the new window and its new demand, and responds with a verdict as for a scaling request. The
/// reservation keeps its id and stays unchanged until the new terms are agreed, also if they are denied. A
/// request with several windows, or one that reserves nothing, cannot be changed (409).
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
