use axum::{Json, extract::State, http::StatusCode};
use haggle_control::Change;
use haggle_model::{CalendarEvent, Name};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    extract::{By, Document, Path},
    openapi::{ChangeProblems, ListProblems, ReadProblems, WriteProblems},
    problem::Answer,
    state::Api,
};

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(list)).routes(routes!(put, get, delete))
}

/// Every event of the calendar.
#[derive(Serialize, ToSchema)]
struct Calendar {
    /// By name.
    items: Vec<CalendarEvent>,
}

/// List the calendar
///
/// The events that are known to change demand. What has happened in the host is at `/v1/events`.
#[utoipa::path(
    get,
    path = "/v1/calendar",
    tag = "calendar",
    operation_id = "list_calendar",
    responses((status = 200, description = "Every event, by name", body = Calendar), ListProblems)
)]
async fn list(State(api): State<Api>) -> Json<Calendar> {
    let state = api.snapshot();
    let items = state.catalog().calendar().map(|event| event.as_ref().clone()).collect();
    Json(Calendar { items })
}

/// Describe an event
///
/// Adds the event or replaces it: a campaign, a backup, a release, with the times that it took place and
/// will. Forecasters that know of events learn its effect from the times that have been, with their next
/// fit, and expect it at those to come. The services that it names must be there. It is forgotten once the
/// last of its times lies before all history. The body may leave `name` out.
#[utoipa::path(
    put,
    path = "/v1/calendar/{name}",
    tag = "calendar",
    operation_id = "put_event",
    params(("name" = Name, Path, description = "The event", example = "spring-sale")),
    request_body(content = CalendarEvent, example = json!({
        "event": "campaign",
        "services": ["web"],
        "times": [
            {"start": "2026-03-01T08:00:00Z", "duration": "2d"},
            {"start": "2026-04-05T08:00:00Z", "end": "2026-04-07T08:00:00Z"}
        ]
    })),
    responses(
        (status = 201, description = "It is new", body = CalendarEvent),
        (status = 200, description = "It was there before", body = CalendarEvent),
        WriteProblems,
    )
)]
async fn put(
    State(api): State<Api>,
    By(by): By,
    Path(name): Path<Name>,
    body: Document,
) -> Answer<(StatusCode, Json<CalendarEvent>)> {
    let event: CalendarEvent = body.named(&[("name", &name)])?;
    let stored = event.clone();
    let status = api.put(by, Change::PutEvent(event)).await?;
    Ok((status, Json(stored)))
}

/// Look at an event
#[utoipa::path(
    get,
    path = "/v1/calendar/{name}",
    tag = "calendar",
    operation_id = "get_event",
    params(("name" = Name, Path, description = "The event", example = "spring-sale")),
    responses((status = 200, description = "The event", body = CalendarEvent), ReadProblems)
)]
async fn get(State(api): State<Api>, Path(name): Path<Name>) -> Answer<Json<CalendarEvent>> {
    let state = api.snapshot();
    Ok(Json(state.catalog().event(&name)?.as_ref().clone()))
}

/// Delete an event
///
/// What was learnt of it is forgotten with the next fit.
#[utoipa::path(
    delete,
    path = "/v1/calendar/{name}",
    tag = "calendar",
    operation_id = "delete_event",
    params(("name" = Name, Path, description = "The event", example = "spring-sale")),
    responses((status = 204, description = "It is gone"), ChangeProblems)
)]
async fn delete(State(api): State<Api>, By(by): By, Path(name): Path<Name>) -> Answer<StatusCode> {
    api.delete(by, Change::DeleteEvent(name)).await
}
