use axum::{Json, extract::State};
use haggle_control::Reservation;
use haggle_model::Name;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{extract::Query, openapi::ReadProblems, problem::Answer, state::Api};

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(list))
}

/// Filters the reservations.
#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
struct Whose {
    /// Return only the reservations of this service. Default: all services.
    #[param(value_type = Option<String>, example = "checkout")]
    service: Option<Name>,
}

/// A list of reservations.
#[derive(Serialize, ToSchema)]
struct Reservations {
    /// The reservations, ordered by their request.
    items: Vec<Reservation>,
}

/// List the reservations
///
/// Returns every window that the host has granted to a scaling request and that has not ended. To change or
/// cancel one, use the scaling request that it names.
#[utoipa::path(
    get,
    path = "/v1/reservations",
    tag = "negotiation",
    operation_id = "list_reservations",
    params(Whose),
    responses((status = 200, description = "Reservations", body = Reservations), ReadProblems)
)]
async fn list(
    State(api): State<Api>,
    Query(Whose { service }): Query<Whose>,
) -> Answer<Json<Reservations>> {
    let state = api.snapshot();
    if let Some(service) = &service {
        state.catalog().service(service)?;
    }
    Ok(Json(Reservations { items: state.reservations(service.as_ref()) }))
}
