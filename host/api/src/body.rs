use axum::{
    extract::Request,
    http::{HeaderMap, header},
};
use tokio_stream::StreamExt;

use crate::{Problem, ProblemKind, problem::Answer};

/// The most bytes of a JSON document.
pub(crate) const JSON_BYTES: usize = 2 << 20;

/// The most bytes of a batch of samples.
pub(crate) const SAMPLES_BYTES: usize = 16 << 20;

/// So much is set aside for a body before any of it has arrived, at most.
const AHEAD: usize = 64 << 10;

/// Reads a whole body of at most `limit` bytes. A longer one is refused on what its length says or, where
/// that is not known, as soon as it is too long; never is more than the limit in memory. The front sees to it
/// that the body arrives in time, and listens for a while to a client that sends on although it is refused.
pub(crate) async fn read(request: Request, limit: usize) -> Answer<Vec<u8>> {
    let (parts, body) = request.into_parts();
    let announced = content_length(&parts.headers).unwrap_or(0);
    if announced > limit as u64 {
        return Err(too_large(limit));
    }
    let mut chunks = body.into_data_stream();
    let mut bytes = Vec::with_capacity(AHEAD.min(announced as usize));
    while let Some(chunk) = chunks.next().await {
        let broke_off = |error| Problem::invalid(format!("the body broke off: {error}"));
        let chunk = chunk.map_err(broke_off)?;
        if bytes.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(limit: usize) -> Problem {
    let detail = format!("the body is larger than the {limit} bytes that are taken here");
    Problem::new(ProblemKind::TooLarge, detail)
}
