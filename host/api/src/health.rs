use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderName, header},
};
use haggle_runtime::prometheus_text;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{Problem, ProblemKind, openapi::ReadyProblems, problem::Answer, state::Api};

/// The text format of Prometheus.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
/// The OpenMetrics format.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const INDEX: &str = "\
Haggle: scaling that is forecast by sandboxed plugins and negotiated before it happens.

  /openapi.json   the whole API
  /v1/services    what is scaled              /v1/graph       what it depends on
  /v1/providers   who has compute units       /v1/policies    how it is scaled
  /v1/plugins     the components that decide  /v1/leases      what is reserved
  /v1/decisions   what was decided            /v1/events      what happens now
  /v1/reservations                            what is granted for later
  /livez          is it alive                 /readyz         can it work
  /healthz        is it open                  /metrics        for Prometheus
";

/// A text with its `Content-Type`, and a `Vary` header because the format depends on `Accept`.
type Metrics = ([(HeaderName, &'static str); 2], Bytes);

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(index))
        .routes(routes!(livez))
        .routes(routes!(healthz))
        .routes(routes!(readyz))
        .routes(routes!(metrics))
}

/// List the entry points
#[utoipa::path(
    get,
    path = "/",
    tag = "host",
    operation_id = "index",
    responses((status = 200, description = "A few places to start from", content_type = "text/plain", body = String))
)]
async fn index() -> &'static str {
    INDEX
}

/// Liveness
///
/// Answers `ok` while the process is alive, including during startup.
#[utoipa::path(
    get,
    path = "/livez",
    tag = "host",
    operation_id = "livez",
    responses((status = 200, description = "`ok`", content_type = "text/plain", body = String))
)]
async fn livez() -> &'static str {
    "ok"
}

/// Startup
///
/// Answers 503 while the host starts, and `ok` afterwards.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "host",
    operation_id = "healthz",
    responses(
        (status = 200, description = "`ok`", content_type = "text/plain", body = String),
        ReadyProblems,
    )
)]
async fn healthz() -> &'static str {
    "ok"
}

/// Readiness
///
/// Answers `ok` if the host can work. Answers 503 while the host starts and after the store has failed.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "host",
    operation_id = "readyz",
    responses(
        (status = 200, description = "`ok`", content_type = "text/plain", body = String),
        ReadyProblems,
    )
)]
async fn readyz(State(api): State<Api>) -> Answer<&'static str> {
    api.host.ready().await.map(|()| "ok").map_err(|reason| Problem::new(ProblemKind::Busy, reason))
}

/// Metrics for Prometheus
///
/// Uses the OpenMetrics format if the request accepts `application/openmetrics-text`, and the Prometheus text
/// format otherwise.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "host",
    operation_id = "metrics",
    responses((status = 200, description = "The metrics", content_type = "text/plain", body = String))
)]
async fn metrics(State(api): State<Api>, headers: HeaderMap) -> Answer<Metrics> {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut ranges = accepted.flat_map(|value| value.split(','));
    let (kind, text) =
        if ranges.any(|range| range.trim().starts_with("application/openmetrics-text")) {
            let text = api.read(|host| Ok(host.metrics_text().into()));
            (OPEN_METRICS, api.large.open_metrics.get(text).await?)
        } else {
            let text = api.read(|host| Ok(prometheus_text(&host.metrics_text()).into()));
            (PROMETHEUS, api.large.metrics.get(text).await?)
        };
    Ok(([(header::CONTENT_TYPE, kind), (header::VARY, "accept")], text))
}
