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

/// Maximum number of decisions in one response.
const MOST: u64 = 1000;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(list))
}

/// Selects a page of decisions.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
struct Page {
    /// Return only decisions with a sequence number above this one.
    #[param(default = 0)]
    #[serde(deserialize_with = "whole::<_, 0, { u64::MAX }>")]
    after: u64,
    /// Maximum number of decisions to return, 1 to 1000.
    #[param(default = 100, minimum = 1, maximum = 1000)]
    #[serde(deserialize_with = "whole::<_, 1, MOST>")]
    limit: u64,
}

impl Default for Page {
    fn default() -> Self {
        Self { after: 0, limit: 100 }
    }
}

/// A page of the decision journal.
#[derive(Serialize, ToSchema)]
struct Decisions {
    /// The decisions, in the order in which they were taken.
    items: Vec<Decision>,
    /// The value of `after` that returns the next page.
    next: u64,
}

/// List the decisions
///
/// Returns decisions from the oldest on. To get the next page, pass `next` as `after`. A page without items
/// means that there are no further decisions yet.
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
