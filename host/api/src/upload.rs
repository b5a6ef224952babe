use std::time::Duration;

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use haggle_model::{Name, Span};
use haggle_runtime::{LoadState, PluginView};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Problem,
    body::Received,
    document,
    extract::{By, Path, Query, preferences, prefers_async},
    openapi::UploadProblems,
    problem::Answer,
    state::Api,
};

/// How long an upload waits for compilation if the client does not say.
const PATIENCE: Span = Span::from_secs(10);

/// The longest wait that a client may request.
const MOST_PATIENCE: Span = Span::from_mins(5);

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(put))
}

/// Parameters of a plugin upload.
#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
struct Parameters {
    /// The configuration that every call passes to the plugin: a JSON object, percent-encoded.
    #[param(value_type = Option<String>, example = r#"{"damping": 0.9}"#)]
    configuration: Option<String>,
    /// How long to wait until the plugin is compiled and tested, at most `5m`. Default: `10s`.
    #[param(value_type = Option<String>, example = "30s")]
    wait: Option<Span>,
}

/// A WebAssembly component, or a core module that carries its component type.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "it describes the body, which is received as it is")]
struct Component(Vec<u8>);

/// An upload that is still being compiled.
#[derive(Serialize, ToSchema)]
struct Compiling {
    /// The plugin's name.
    name: Name,
    /// The state of the upload.
    status: LoadState,
}

/// Load a plugin
///
/// The body is a WebAssembly component (or a core module that carries its component type). The host checks,
/// compiles and tests it in the background; then the next call uses it. A plugin that fails to load changes
/// nothing.
///
/// If compilation takes longer than the request waits, the response is 202, and `load` of the plugin reports
/// the progress. The time to wait is `wait`, or `Prefer: wait=30`; with `Prefer: respond-async` the request
/// does not wait.
#[utoipa::path(
    put,
    path = "/v1/plugins/{name}",
    tag = "plugins",
    operation_id = "put_plugin",
    params(
        ("name" = Name, Path, description = "The plugin", example = "seasonal"),
        Parameters,
        ("prefer" = Option<String>, Header, description = "`respond-async`, or `wait=` and seconds", example = "respond-async"),
    ),
    request_body(
        content = Component,
        content_type = "application/octet-stream",
        description = "The component; its content type does not matter"
    ),
    responses(
        (status = 201, description = "Created, and active", body = PluginView),
        (status = 200, description = "A new generation is active", body = PluginView),
        (
            status = 202,
            description = "Still compiling",
            body = Compiling,
            headers(("location" = String, description = "The plugin, whose `load` reports the progress")),
            example = json!({"name": "seasonal", "status": "compiling"}),
        ),
        UploadProblems,
    )
)]
async fn put(
    State(api): State<Api>,
    By(by): By,
    Path(name): Path<Name>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    request: Request,
) -> Answer<Response> {
    let patience = patience(parameters.wait, &headers)?;
    let configuration = parameters.configuration.map(configuration).transpose()?;
    let Received { bytes, place } = api.uploads.read(request, api.upload_bytes).await?;
    let known = api.host.plugin(&name);
    let is_new = known.map_or(true, |before| before.current.is_none());
    let mut load = api.host.load_plugin(by, &name, bytes, configuration).await?;
    // The host now owns the bytes, and limits the uploads that it compiles.
    drop(place);
    Ok(match load.wait(patience).await.transpose()? {
        Some(view) if is_new => (StatusCode::CREATED, Json(view)).into_response(),
        Some(view) => Json(view).into_response(),
        None => compiling(name),
    })
}

fn compiling(name: Name) -> Response {
    let location = [(header::LOCATION, format!("/v1/plugins/{name}"))];
    let body = Compiling { name, status: LoadState::Compiling };
    (StatusCode::ACCEPTED, location, Json(body)).into_response()
}

/// The time to wait: from the query, else from the header, else the default.
fn patience(wait: Option<Span>, headers: &HeaderMap) -> Answer<Duration> {
    let wait = wait.or_else(|| preferred(headers)).unwrap_or(PATIENCE);
    if wait > MOST_PATIENCE {
        let detail = format!("to wait {wait} is too long: {MOST_PATIENCE} is the most");
        return Err(Problem::invalid(detail));
    }
    Ok(wait.into())
}

/// The client's waiting preference, if any.
fn preferred(headers: &HeaderMap) -> Option<Span> {
    let mut wait = preferences(headers).filter(|(key, _)| key == "wait");
    let seconds = wait.find_map(|(_, value)| value.parse().ok());
    let wait = seconds.map(|seconds| Span::from_secs(seconds).min(MOST_PATIENCE));
    wait.or_else(|| prefers_async(headers).then_some(Span::ZERO))
}

fn configuration(text: String) -> Answer<serde_json::Value> {
    document::parse_parameter("configuration", text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::{HeaderMap, HeaderValue};
    use haggle_model::Span;

    use super::patience;

    fn prefer(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|v| ("prefer".parse().unwrap(), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn waits_as_long_as_it_is_asked_to() {
        let seconds = |n| Ok(Duration::from_secs(n));
        assert_eq!(patience(None, &prefer(&[])), seconds(10));
        assert_eq!(patience(None, &prefer(&["respond-async"])), seconds(0));
        assert_eq!(patience(None, &prefer(&["handling=strict, Wait=\"3\""])), seconds(3));
        assert_eq!(patience(None, &prefer(&["respond-async", "wait=20"])), seconds(20));
        assert_eq!(patience(None, &prefer(&["wait=soon"])), seconds(10));
        assert_eq!(patience(Some(Span::from_secs(1)), &prefer(&["respond-async"])), seconds(1));
        assert!(patience(Some(Span::from_mins(6)), &prefer(&[])).is_err());
        assert_eq!(patience(None, &prefer(&["wait=18446744073709551615"])), seconds(300));
    }
}
