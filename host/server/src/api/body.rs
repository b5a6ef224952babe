use std::time::Duration;

use axum::{
    body::{BodyDataStream, Bytes},
    extract::Request,
    http::{HeaderMap, header},
};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_stream::StreamExt;

use super::{Problem, ProblemKind, problem::Answer};

/// The most bytes of a JSON document.
pub(super) const JSON_BYTES: usize = 2 << 20;

/// The most bytes of a batch of samples.
pub(super) const SAMPLES_BYTES: usize = 16 << 20;

/// How long a body may pause.
const PAUSE: Duration = Duration::from_secs(30);

/// How long the rest of a refused body is still read (and dropped), so that a client that does not
/// listen while it sends gets to see why it was refused, instead of a broken connection.
const DRAIN: Duration = Duration::from_secs(5);

/// Reads a whole body of at most `limit` bytes. A longer one is refused on what its length says or, where
/// that is not known, as soon as it is too long; never is more than the limit in memory.
pub(super) async fn read(request: Request, limit: usize) -> Answer<Vec<u8>> {
    let (parts, body) = request.into_parts();
    let announced = content_length(&parts.headers);
    let mut chunks = body.into_data_stream();
    if announced.is_some_and(|length| length > limit as u64) {
        // Who waits for a go-ahead gets the refusal instead and sends nothing.
        if !parts.headers.contains_key(header::EXPECT) {
            drain(chunks).await;
        }
        return Err(too_large(limit));
    }
    let mut bytes = Vec::with_capacity(announced.map_or(0, |length| length as usize));
    while let Some(chunk) = next(&mut chunks).await? {
        if bytes.len() + chunk.len() > limit {
            drop(bytes);
            drain(chunks).await;
            return Err(too_large(limit));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

async fn next(chunks: &mut BodyDataStream) -> Answer<Option<Bytes>> {
    match timeout(PAUSE, chunks.next()).await {
        Ok(None) => Ok(None),
        Ok(Some(Ok(chunk))) => Ok(Some(chunk)),
        Ok(Some(Err(error))) => Err(Problem::invalid(format!("the body broke off: {error}"))),
        Err(_) => {
            let detail = format!("no more of the body arrived for {} s", PAUSE.as_secs());
            Err(Problem::new(ProblemKind::Timeout, detail))
        }
    }
}

async fn drain(mut chunks: BodyDataStream) {
    let until = Instant::now() + DRAIN;
    while let Ok(Some(Ok(_))) = timeout_at(until, chunks.next()).await {}
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(limit: usize) -> Problem {
    let detail = format!("the body is larger than the {limit} bytes that are taken here");
    Problem::new(ProblemKind::TooLarge, detail)
}
