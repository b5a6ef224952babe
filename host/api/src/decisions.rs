use axum::{Json, extract::State};
use haggle_model::Decision;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    extract::{Query, whole},
    openapi::ListProblems,
    problem::Answer,
    state::Api,
};

/// The most decisions that one request gets.
const MOST: u64 = 1000;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(list))
}

/// Which decisions.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
struct Page {
    /// Those with a higher sequence than this.
    #[param(default = 0)]
    #[serde(deserialize_with = "whole::<_, 0, { u64::MAX }>")]
    after: u64,
    /// At most so many, 1 to 1000.
    #[param(default = 100, minimum = 1, maximum = 1000)]
    #[serde(deserialize_with = "whole::<_, 1, MOST>")]
    limit: u64,
}

impl Default for Page {
    fn default() -> Self {
        Self { after: 0, limit: 100 }
    }
}

/// A page of the journal.
#[derive(Serialize, ToSchema)]
struct Decisions {
    /// In the order in which they were taken.
    items: Vec<Decision>,
    /// What to pass as `after` for those that follow.
    next: u64,
}

/// List the decisions
///
/// From the oldest on. Pass `next` as `after` to go on; a page with no items is the end for now.
#[utoipa::path(
    get,
    path = "/v1/decisions",
    tag = "decisions",
    operation_id = "list_decisions",
    params(Page),
    responses((status = 200, description = "A page of decisions", body = Decisions), ListProblems)
)]
async fn list(
    State(api): State<Api>,
    Query(Page { after, limit }): Query<Page>,
) -> Answer<Json<Decisions>> {
    let items = api.read(move |host| Ok(host.decisions(after, limit as usize)?)).await?;
    let next = items.last().map_or(after, |last| last.sequence);
    Ok(Json(Decisions { items, next }))
}
