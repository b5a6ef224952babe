use std::sync::Arc;

use axum::{
    extract::Request,
    http::{HeaderMap, header},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};
use tokio_stream::StreamExt;

use crate::{Problem, ProblemKind, problem::Answer};

/// Maximum size of a JSON document, in bytes.
pub(crate) const JSON_BYTES: usize = 2 << 20;

/// Maximum size of a batch of samples, in bytes.
pub(crate) const SAMPLES_BYTES: usize = 16 << 20;

/// Maximum buffer space to allocate for a body before its bytes arrive, in bytes.
const AHEAD: usize = 64 << 10;

/// Limits the bodies of one kind that are in memory at once, by count and by total bytes.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    /// The plural noun for the bodies, such as "uploads". Used in error messages.
    kind: &'static str,
    bodies: Bound,
    bytes: Bound,
}

#[derive(Clone, Debug)]
struct Bound {
    free: Arc<Semaphore>,
    most: usize,
}

/// A complete body. It counts against its [`Room`] until it is dropped.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) bytes: Vec<u8>,
    pub(crate) place: Place,
}

/// The share of a [`Room`] that a body uses. Dropping it releases the share.
#[derive(Debug)]
pub(crate) struct Place {
    _body: OwnedSemaphorePermit,
    bytes: OwnedSemaphorePermit,
}

impl Room {
    pub(crate) fn new(kind: &'static str, bodies: usize, bytes: usize) -> Self {
        Self { kind, bodies: Bound::new(bodies), bytes: Bound::new(bytes) }
    }

    /// Reads a complete body of at most `limit` bytes. A longer body is refused on its `Content-Length` or,
    /// without one, as soon as it exceeds the limit; memory never holds more than the limit. Only bytes that
    /// have arrived count against the room, so a client that announces a large body and sends little blocks
    /// nobody. If the room is full, the body is refused instead of waiting, because the bodies ahead of it
    /// may be slow. The front enforces the time in which the body must arrive, and keeps reading for a while
    /// from a client that goes on sending after the refusal.
    pub(crate) async fn read(&self, request: Request, limit: usize) -> Answer<Received> {
        let (parts, body) = request.into_parts();
        let announced = content_length(&parts.headers).unwrap_or(0);
        if announced > limit as u64 {
            return Err(too_large(limit));
        }
        let mut place = self.enter()?;
        let mut chunks = body.into_data_stream();
        let mut bytes = Vec::with_capacity(AHEAD.min(announced as usize));
        while let Some(chunk) = chunks.next().await {
            let broke_off = |error| Problem::invalid(format!("the body broke off: {error}"));
            let chunk = chunk.map_err(broke_off)?;
            if bytes.len() + chunk.len() > limit {
                return Err(too_large(limit));
            }
            place.bytes.merge(self.more(chunk.len())?);
            bytes.extend_from_slice(&chunk);
        }
        Ok(Received { bytes, place })
    }

    fn enter(&self) -> Answer<Place> {
        let (kind, most) = (self.kind, self.bodies.most);
        let full = |_| {
            let detail =
                format!("{most} {kind} are being received, which is the most: send it again later");
            Problem::new(ProblemKind::Busy, detail)
        };
        let body = self.bodies.take(1).map_err(full)?;
        Ok(Place { _body: body, bytes: self.more(0)? })
    }

    fn more(&self, bytes: usize) -> Answer<OwnedSemaphorePermit> {
        let (kind, most) = (self.kind, self.bytes.most);
        let full = |_| {
            let detail = format!(
                "the {kind} being received have {most} bytes together, which is the most: send it again later"
            );
            Problem::new(ProblemKind::Busy, detail)
        };
        self.bytes.take(bytes).map_err(full)
    }
}

impl Bound {
    fn new(most: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(most)), most }
    }

    fn take(&self, permits: usize) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        let permits = u32::try_from(permits).map_err(|_| TryAcquireError::NoPermits)?;
        Arc::clone(&self.free).try_acquire_many_owned(permits)
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(limit: usize) -> Problem {
    let detail = format!("the body is larger than the {limit} bytes that are taken here");
    Problem::new(ProblemKind::TooLarge, detail)
}

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, Bytes},
        extract::Request,
    };
    use tokio::sync::mpsc;
    use tokio_stream::wrappers::UnboundedReceiverStream;

    use super::Room;
    use crate::{ProblemKind, body::Received, problem::Answer};

    type Chunks = mpsc::UnboundedSender<Result<Bytes, std::io::Error>>;

    fn body() -> (Chunks, Request) {
        let (send, chunks) = mpsc::unbounded_channel();
        (send, Request::new(Body::from_stream(UnboundedReceiverStream::new(chunks))))
    }

    async fn read(room: &Room, bytes: usize) -> Answer<Received> {
        room.read(Request::new(Body::from(vec![b'x'; bytes])), 1000).await
    }

    #[track_caller]
    fn is_full(answer: Answer<Received>, says: &str) {
        let problem = answer.unwrap_err();
        assert_eq!(problem.status, ProblemKind::Busy.status().as_u16());
        assert!(problem.detail.contains(says), "{problem:?}");
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_keeps_out_as_many_as_it_has_bytes() {
        let room = Room::new("uploads", 2, 150);
        let (send, slow) = body();
        let reading = tokio::spawn({
            let room = room.clone();
            async move { room.read(slow, 1000).await }
        });
        send.send(Ok(Bytes::from_static(&[b'x'; 100]))).unwrap();
        while room.bytes.free.available_permits() == 150 {
            tokio::task::yield_now().await;
        }
        assert_eq!(read(&room, 50).await.unwrap().bytes.len(), 50);
        is_full(read(&room, 51).await, "uploads being received have 150 bytes together");
        let other = read(&room, 1).await.unwrap();
        is_full(read(&room, 1).await, "2 uploads are being received, which is the most");
        drop((send, other));
        assert_eq!(reading.await.unwrap().unwrap().bytes.len(), 100);
        assert_eq!(read(&room, 150).await.unwrap().bytes.len(), 150);
    }
}
