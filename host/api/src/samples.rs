use axum::{extract::State, http::StatusCode};
use haggle_runtime::{Accepted, LeftOut, SampleBatch};
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
    /// Number of samples and failures that were not stored because their time lies too far ahead of the
    /// host's clock.
    ahead: usize,
    /// The samples and failures that were not stored, each with the reason; the first 20.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 20)]
    left_out: Vec<LeftOut>,
    /// What looks like a mistake in series that were stored, such as a counter in place of a rate; the first
    /// 20.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 20)]
    warnings: Vec<String>,
}

impl From<Accepted> for Stored {
    fn from(accepted: Accepted) -> Self {
        let Accepted { stored, stale, ahead, left_out, counters } = accepted;
        let warnings = counters.iter().map(|counter| counter.complaint()).collect();
        Self { stored, stale, ahead, left_out, warnings }
    }
}

/// Send measurements
///
/// Sends up to 16 MiB at once. If one item is invalid, the host refuses the whole batch and names the item by
/// its position.
///
/// Samples may arrive late, repeatedly and out of order. A forecast uses one value for each step of its
/// policy: the mean of the samples within the step, or a missing value if there are none. If two samples have
/// the same time, the later arrival replaces the earlier one. Samples and failures that are older than any
/// history, or ahead of the host's clock by more than a minute, are not stored: the answer counts them, and
/// lists the first of them with the difference between the clocks. If all items of a batch are ahead, the host
/// refuses the batch. A time is RFC 3339, or a number of seconds (below 1e11) or milliseconds since 1970. A
/// value must be a level or a rate, not an ever-growing counter: a series that only grows is stored, and the
/// answer warns of it.
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
    Ok((StatusCode::ACCEPTED, axum::Json(accepted.into())))
}
