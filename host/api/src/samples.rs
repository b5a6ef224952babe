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

/// The result of a batch.
#[derive(Serialize, ToSchema)]
struct Stored {
    /// Number of samples and failures that the host stored.
    stored: usize,
    /// Number of samples and failures that were too old to store.
    stale: usize,
}

/// Send measurements
///
/// Sends up to 16 MiB at once. The host accepts the whole batch or, if it refuses one item, nothing.
///
/// Samples may arrive late, repeatedly and out of order. A forecast uses one value for each step of its
/// policy: the mean of the samples within the step, or a missing value if there are none. If two samples have
/// the same time, the later arrival replaces the earlier one. Samples and failures that are older than any
/// history count as stale. A value must be a level or a rate, not an ever-growing counter.
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
    responses((status = 202, description = "Accepted", body = Stored), SendProblems)
)]
async fn push(
    State(api): State<Api>,
    Json(batch): Json<SampleBatch, SAMPLES_BYTES>,
) -> Answer<(StatusCode, axum::Json<Stored>)> {
    let accepted = api.finish(|host| async move { host.push_samples(batch).await }).await?;
    let stored = Stored { stored: accepted.stored, stale: accepted.stale };
    Ok((StatusCode::ACCEPTED, axum::Json(stored)))
}
