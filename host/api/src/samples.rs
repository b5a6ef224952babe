use axum::{extract::State, http::StatusCode};
use haggle_runtime::SampleBatch;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    body::SAMPLES_BYTES, extract::Json, openapi::SendProblems, problem::Answer, state::Api,
};

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(push))
}

/// What became of a batch.
#[derive(Serialize, ToSchema)]
struct Stored {
    /// How many samples and failures are kept.
    stored: usize,
    /// How many came too late to be kept.
    stale: usize,
}

/// Send measurements
///
/// Up to 16 MiB of them at once. All are taken or, where one is refused, none.
///
/// They may come at any times, late, twice and out of order. A forecast sees one value for each step of its
/// policy: the mean of the samples that fall into it, missing where there are none. Of two samples of the
/// same time the last one counts; what is older than any history is counted as stale, failures too. A value is a level or a
/// rate, not a counter that only grows.
#[utoipa::path(
    post,
    path = "/v1/samples",
    tag = "facts",
    operation_id = "push_samples",
    request_body(content = SampleBatch, example = json!({
        "samples": [
            {"service": "checkout", "time": "2026-01-31T12:00:00Z", "value": 312.5},
            {"service": "checkout", "metric": "memory_bytes", "instance": "checkout-7", "value": 4.2e8}
        ],
        "failures": [{"service": "checkout", "instance": "checkout-3", "time": "2026-01-31T11:58:30Z"}]
    })),
    responses((status = 202, description = "They are taken", body = Stored), SendProblems)
)]
async fn push(
    State(api): State<Api>,
    Json(batch): Json<SampleBatch, SAMPLES_BYTES>,
) -> Answer<(StatusCode, axum::Json<Stored>)> {
    let accepted = api.finish(|host| async move { host.push_samples(batch).await }).await?;
    let stored = Stored { stored: accepted.stored, stale: accepted.stale };
    Ok((StatusCode::ACCEPTED, axum::Json(stored)))
}
