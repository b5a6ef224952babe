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

/// All events of the calendar.
#[derive(Serialize, ToSchema)]
struct Calendar {
    /// The events, ordered by name.
    items: Vec<CalendarEvent>,
}

/// List the calendar
///
/// Lists the known events that change demand. For what has happened in the host, see `/v1/events`.
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

/// Create or replace a calendar event
///
/// An event is a campaign, a backup or a release, with its past and future times. Forecasters that support
/// events learn an event's effect from its past times at their next fit, and apply it at its future times.
/// The services that the event names must exist. The host deletes the event once its last time is older than
/// all history. The body may omit `name`.
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
        (status = 201, description = "Created", body = CalendarEvent),
        (status = 200, description = "Replaced", body = CalendarEvent),
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

/// Get a calendar event
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

/// Delete a calendar event
///
/// The next fit drops what the forecasters learned from the event.
#[utoipa::path(
    delete,
    path = "/v1/calendar/{name}",
    tag = "calendar",
    operation_id = "delete_event",
    params(("name" = Name, Path, description = "The event", example = "spring-sale")),
    responses((status = 204, description = "Deleted"), ChangeProblems)
)]
async fn delete(State(api): State<Api>, By(by): By, Path(name): Path<Name>) -> Answer<StatusCode> {
    api.delete(by, Change::DeleteEvent(name)).await
}
