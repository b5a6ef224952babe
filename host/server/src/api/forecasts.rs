use axum::{Json, extract::State};
use haggle_model::Name;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::ForecastView;

use super::{extract::Path, openapi::ReadProblems, problem::Answer, state::Api};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(get))
}

/// Look at the latest forecast of a service
///
/// Its load, step by step, with prediction intervals. There is none before the first turn of the
/// control loop that saw samples of the service.
#[utoipa::path(
    get,
    path = "/v1/forecasts/{service}",
    tag = "facts",
    operation_id = "get_forecast",
    params(("service" = Name, Path, description = "The service", example = "checkout")),
    responses((status = 200, description = "The forecast", body = ForecastView), ReadProblems)
)]
async fn get(State(api): State<Api>, Path(service): Path<Name>) -> Answer<Json<ForecastView>> {
    api.ask(move |host| host.forecast(&service)).await.map(Json)
}
