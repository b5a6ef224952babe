use axum::{Json, extract::State, http::StatusCode};
use haggle_model::Name;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::PluginView;

use super::{
    extract::Path,
    openapi::{ChangeProblems, ListProblems, ReadProblems},
    problem::Answer,
    state::Api,
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(get, delete))
        .routes(routes!(rollback))
}

/// Every plugin.
#[derive(Serialize, ToSchema)]
struct Plugins {
    /// By name.
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
async fn list(State(api): State<Api>) -> Answer<Json<Plugins>> {
    let items = api.ask(|host| Ok(host.plugins())).await?;
    Ok(Json(Plugins { items }))
}

/// Look at a plugin
///
/// The generation that decides, the one before it, and what became of the newest upload.
#[utoipa::path(
    get,
    path = "/v1/plugins/{name}",
    tag = "plugins",
    operation_id = "get_plugin",
    params(("name" = Name, Path, description = "The plugin", example = "seasonal")),
    responses((status = 200, description = "The plugin", body = PluginView), ReadProblems)
)]
async fn get(State(api): State<Api>, Path(name): Path<Name>) -> Answer<Json<PluginView>> {
    api.ask(move |host| host.plugin(&name)).await.map(Json)
}

/// Delete a plugin
///
/// Refused while a policy or provider names it. Where it was loaded over a built-in plugin of the same
/// name, that one decides again.
#[utoipa::path(
    delete,
    path = "/v1/plugins/{name}",
    tag = "plugins",
    operation_id = "delete_plugin",
    params(("name" = Name, Path, description = "The plugin", example = "seasonal")),
    responses((status = 204, description = "It is gone"), ChangeProblems)
)]
async fn delete(State(api): State<Api>, Path(name): Path<Name>) -> Answer<StatusCode> {
    api.ask(move |host| host.delete_plugin(&name)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Return to the generation before
///
/// The next call is decided by it; calls in flight finish on the one that they began with.
#[utoipa::path(
    post,
    path = "/v1/plugins/{name}/rollback",
    tag = "plugins",
    operation_id = "rollback_plugin",
    params(("name" = Name, Path, description = "The plugin", example = "seasonal")),
    responses((status = 200, description = "The plugin as it is now", body = PluginView), ChangeProblems)
)]
async fn rollback(State(api): State<Api>, Path(name): Path<Name>) -> Answer<Json<PluginView>> {
    api.ask(move |host| host.rollback_plugin(&name)).await.map(Json)
}
