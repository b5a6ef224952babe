use axum::{Json, extract::State};
use haggle_model::{Name, Span};
use haggle_runtime::Host;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Problem, ProblemKind,
    extract::{Path, Query},
    openapi::{ListProblems, ReadProblems},
    problem::Answer,
    state::Api,
    views::{ForecastView, ForecastsView, NoForecast},
};

/// Maximum number of horizons in one request.
const MOST: usize = 16;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(list)).routes(routes!(get))
}

/// The horizons for which to summarize forecasts.
#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
struct Horizons {
    /// Up to 16 durations, separated by commas. For each one the response adds the mean and the peak of the
    /// forecast until then, with their lower and upper bounds.
    #[param(example = "5m,15m,1h")]
    horizons: String,
}

impl Horizons {
    fn read(&self) -> Answer<Vec<Span>> {
        let invalid = |what: String| Problem::invalid(format!("in the query: horizons: {what}"));
        let texts = self.horizons.split(',').filter(|_| !self.horizons.is_empty());
        let spans: Vec<Span> = texts
            .map(|text| text.parse().map_err(|error| invalid(format!("{error}"))))
            .collect::<Result<_, _>>()?;
        match spans.iter().any(|span| span.is_zero()) {
            true => Err(invalid("each must be above 0".to_owned())),
            false if spans.len() > MOST => Err(invalid(format!("name at most {MOST}"))),
            false => Ok(spans),
        }
    }
}

/// List all forecasts
///
/// Returns the latest forecast of every service that has one, and the totals by the resource that the load is
/// measured in. The mean of a total is the sum of the means, and its bounds are the sums of the bounds.
/// Summed bounds are exact if the errors are perfectly correlated, and too wide otherwise. A horizon that
/// lies beyond a forecast is omitted from that forecast.
#[utoipa::path(
    get,
    path = "/v1/forecasts",
    tag = "facts",
    operation_id = "list_forecasts",
    params(Horizons),
    responses((status = 200, description = "Every forecast, by service", body = ForecastsView), ListProblems)
)]
async fn list(
    State(api): State<Api>,
    Query(horizons): Query<Horizons>,
) -> Answer<Json<ForecastsView>> {
    let horizons = horizons.read()?;
    api.read(move |host| Ok(ForecastsView::of(&host.snapshot(), &horizons))).await.map(Json)
}

/// Get the latest forecast of a service
///
/// The load, step by step, with prediction intervals. There is no forecast before the first reconcile pass
/// that has samples of the service, or while its plugin fails; the problem says why.
#[utoipa::path(
    get,
    path = "/v1/forecasts/{service}",
    tag = "facts",
    operation_id = "get_forecast",
    params(("service" = Name, Path, description = "The service", example = "checkout"), Horizons),
    responses((status = 200, description = "The forecast", body = ForecastView), ReadProblems)
)]
async fn get(
    State(api): State<Api>,
    Path(service): Path<Name>,
    Query(horizons): Query<Horizons>,
) -> Answer<Json<ForecastView>> {
    let horizons = horizons.read()?;
    let state = api.snapshot();
    let (service, of) = state.service(&service)?;
    let mut view = ForecastView::of(&state, service, of)
        .map_err(|why| no_forecast(&api.host, &service.name, &why))?;
    let outlook = &view.outlook;
    let summary = |horizon: &Span| {
        outlook.summary(*horizon).ok_or_else(|| {
            Problem::invalid(format!(
                "the forecast of {} reaches {}, not {horizon}: ask for less, or lengthen forecasting.horizon of its scaling policy",
                service.name,
                outlook.horizon(),
            ))
        })
    };
    view.horizons = horizons.iter().map(summary).collect::<Answer<_>>()?;
    Ok(Json(view))
}

fn no_forecast(host: &Host, service: &Name, missing: &NoForecast) -> Problem {
    let NoForecast { plugin, why } = missing;
    let mut detail = match why {
        Some(why) => format!("service {service} has no forecast yet: {why}"),
        None => format!(
            "service {service} has no forecast yet: send samples, and wait for the next pass"
        ),
    };
    let last = host.plugin(plugin).ok().and_then(|plugin| plugin.last_error);
    if let Some(last) = last.filter(|last| last.function.starts_with("forecasting.")) {
        detail.push_str(&format!(
            ". The last error of plugin {plugin}, generation {}, was {} at {}: {}",
            last.generation, last.function, last.at, last.message
        ));
    }
    Problem::new(ProblemKind::NotFound, detail)
}
