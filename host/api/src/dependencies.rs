use axum::{Json, extract::State, http::StatusCode};
use haggle_control::{Change, Graph};
use haggle_model::{Dependency, DependencyDocument, Name};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    extract::{By, Document, Path},
    openapi::{ChangeProblems, ListProblems, WriteProblems},
    problem::Answer,
    state::Api,
};

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(put, delete)).routes(routes!(graph))
}

/// Create or replace a dependency
///
/// Describes that one service depends on another. Both services must exist. Cycles are allowed. The body may
/// omit `from` and `to`.
#[utoipa::path(
    put,
    path = "/v1/dependencies/{from}/{to}",
    tag = "dependencies",
    operation_id = "put_dependency",
    params(
        ("from" = Name, Path, description = "The dependent", example = "checkout"),
        ("to" = Name, Path, description = "The dependency", example = "payments"),
    ),
    request_body(content = Dependency, example = json!({
        "strength": "mandatory",
        "ratios": {"requests_per_second": 1.5}
    })),
    responses(
        (status = 201, description = "Created", body = DependencyDocument),
        (status = 200, description = "Replaced", body = DependencyDocument),
        WriteProblems,
    )
)]
async fn put(
    State(api): State<Api>,
    By(by): By,
    Path((from, to)): Path<(Name, Name)>,
    body: Document,
) -> Answer<(StatusCode, Json<DependencyDocument>)> {
    let document: DependencyDocument = body.named(&[("from", &from), ("to", &to)])?;
    let stored = document.clone();
    let status = api.put(by, Change::PutDependency(from, to, document.into())).await?;
    Ok((status, Json(stored)))
}

/// Delete a dependency
#[utoipa::path(
    delete,
    path = "/v1/dependencies/{from}/{to}",
    tag = "dependencies",
    operation_id = "delete_dependency",
    params(
        ("from" = Name, Path, description = "The dependent", example = "checkout"),
        ("to" = Name, Path, description = "The dependency", example = "payments"),
    ),
    responses((status = 204, description = "Deleted"), ChangeProblems)
)]
async fn delete(
    State(api): State<Api>,
    By(by): By,
    Path((from, to)): Path<(Name, Name)>,
) -> Answer<StatusCode> {
    api.delete(by, Change::DeleteDependency(from, to)).await
}

/// Get the dependency graph
#[utoipa::path(
    get,
    path = "/v1/graph",
    tag = "dependencies",
    operation_id = "get_graph",
    responses((status = 200, description = "Services and dependencies", body = Graph), ListProblems)
)]
async fn graph(State(api): State<Api>) -> Json<Graph> {
    Json(api.snapshot().catalog().graph())
}
