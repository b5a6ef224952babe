use axum::{Json, extract::State, http::StatusCode};
use haggle_model::Name;
use haggle_runtime::PluginView;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    extract::{By, Path},
    openapi::{ChangeProblems, ListProblems, ReadProblems},
    problem::Answer,
    state::Api,
};

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(get, delete))
        .routes(routes!(rollback))
}

/// All plugins.
#[derive(Serialize, ToSchema)]
struct Plugins {
    /// The plugins, ordered by name.
    items: Vec<PluginView>,
}

/// List the plugins
#[utoipa::path(
    get,
    path = "/v1/plugins",
    tag = "plugins",
    operation_id = "list_plugins",
    responses((status = 200, description = "Every plugin, by name", body = Plugins), ListProblems)
)]
async fn list(State(api): State<Api>) -> Json<Plugins> {
    Json(Plugins { items: api.host.plugins() })
}

/// Get a plugin
///
/// Returns the active generation, the previous one, the state of the newest upload, and the last error.
#[utoipa::path(
    get,
    path = "/v1/plugins/{name}",
    tag = "plugins",
    operation_id = "get_plugin",
    params(("name" = Name, Path, description = "The plugin", example = "seasonal")),
    responses((status = 200, description = "The plugin", body = PluginView), ReadProblems)
)]
async fn get(State(api): State<Api>, Path(name): Path<Name>) -> Answer<Json<PluginView>> {
    Ok(Json(api.host.plugin(&name)?))
}

/// Delete a plugin
///
/// Refused while a scaling policy or provider refers to the plugin. If the plugin had replaced a built-in
/// plugin of the same name, the built-in plugin becomes active again.
#[utoipa::path(
    delete,
    path = "/v1/plugins/{name}",
    tag = "plugins",
    operation_id = "delete_plugin",
    params(("name" = Name, Path, description = "The plugin", example = "seasonal")),
    responses((status = 204, description = "Deleted"), ChangeProblems)
)]
async fn delete(State(api): State<Api>, By(by): By, Path(name): Path<Name>) -> Answer<StatusCode> {
    api.finish(|host| async move { host.delete_plugin(by, &name).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Roll back to the previous generation
///
/// The next call uses the previous generation. Calls in flight finish on the generation on which they
/// started.
#[utoipa::path(
    post,
    path = "/v1/plugins/{name}/rollback",
    tag = "plugins",
    operation_id = "rollback_plugin",
    params(("name" = Name, Path, description = "The plugin", example = "seasonal")),
    responses((status = 200, description = "The plugin as it is now", body = PluginView), ChangeProblems)
)]
async fn rollback(
    State(api): State<Api>,
    By(by): By,
    Path(name): Path<Name>,
) -> Answer<Json<PluginView>> {
    api.finish(|host| async move { host.rollback_plugin(by, &name).await }).await.map(Json)
}
