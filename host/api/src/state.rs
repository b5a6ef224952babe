use std::sync::Arc;

use axum::{
    body::Bytes,
    http::{HeaderName, StatusCode, header},
};
use haggle_control::{Change, Principal, Put, State};
use haggle_runtime::{Host, HostError};
use serde::Serialize;
use tokio::task::{JoinError, spawn_blocking};

use crate::{
    body::{Room, SAMPLES_BYTES},
    problem::{Answer, Problem, ProblemKind},
    shared_answer::SharedAnswer,
};

/// The state that all handlers share.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) host: Arc<Host>,
    /// Maximum size of an upload, in bytes.
    pub(crate) upload_bytes: usize,
    /// Receives uploads. An upload takes no compilation slot until it is complete.
    pub(crate) uploads: Room,
    /// Receives all other bodies.
    pub(crate) documents: Room,
    /// Responses that grow with the number of services.
    pub(crate) large: Arc<Large>,
}

/// Shared responses that are expensive to compute for large states.
#[derive(Debug, Default)]
pub(crate) struct Large {
    pub(crate) services: SharedAnswer,
    pub(crate) providers: SharedAnswer,
    pub(crate) leases: SharedAnswer,
    pub(crate) metrics: SharedAnswer,
    pub(crate) open_metrics: SharedAnswer,
}

/// JSON that is already serialized, with its content type.
pub(crate) type SharedJson = ([(HeaderName, &'static str); 1], Bytes);

/// Maximum number of uploads received at once.
const UPLOADS: usize = 64;

/// Maximum total size of concurrent uploads, as a multiple of the largest upload.
const LARGEST_UPLOADS: usize = 4;

/// Maximum number of other bodies received at once.
const DOCUMENTS: usize = 4096;

/// Maximum total size of the other bodies, in bytes.
const DOCUMENT_BYTES: usize = 16 * SAMPLES_BYTES;

impl Api {
    pub(crate) fn new(host: Arc<Host>, upload_bytes: usize) -> Self {
        Self {
            host,
            upload_bytes,
            uploads: Room::new("uploads", UPLOADS, upload_bytes.saturating_mul(LARGEST_UPLOADS)),
            documents: Room::new("bodies", DOCUMENTS, DOCUMENT_BYTES),
            large: Arc::default(),
        }
    }

    /// Returns the durable state.
    pub(crate) fn snapshot(&self) -> Arc<State> {
        self.host.snapshot()
    }

    /// Runs a disk read or a long computation on a blocking thread.
    pub(crate) async fn read<T, F>(&self, question: F) -> Answer<T>
    where
        T: Send + 'static,
        F: FnOnce(&Host) -> Answer<T> + Send + 'static,
    {
        let host = Arc::clone(&self.host);
        spawn_blocking(move || question(&host)).await.unwrap_or_else(lost)
    }

    /// Computes and serializes a large JSON response on a blocking thread, once for all clients that request
    /// it concurrently.
    pub(crate) async fn shared_json(
        &self,
        shared: &SharedAnswer,
        write: impl FnOnce(&Host) -> Bytes + Send + 'static,
    ) -> Answer<SharedJson> {
        let bytes = shared.get(self.read(|host| Ok(write(host)))).await?;
        Ok(([(header::CONTENT_TYPE, "application/json")], bytes))
    }

    /// Runs an operation of the host to completion, even if the client disconnects.
    pub(crate) async fn finish<T, W>(&self, work: impl FnOnce(Arc<Host>) -> W) -> Answer<T>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, HostError>> + Send + 'static,
    {
        match tokio::spawn(work(Arc::clone(&self.host))).await {
            Ok(answer) => answer.map_err(Problem::from),
            Err(error) => lost(error),
        }
    }

    /// Creates or replaces a document; the status says which.
    pub(crate) async fn put(&self, by: Principal, change: Change) -> Answer<StatusCode> {
        let put = self.finish(|host| async move { host.change(by, change).await }).await?;
        Ok(match put {
            Put::Created => StatusCode::CREATED,
            Put::Updated => StatusCode::OK,
        })
    }

    /// Deletes a document.
    pub(crate) async fn delete(&self, by: Principal, change: Change) -> Answer<StatusCode> {
        self.finish(|host| async move { host.change(by, change).await }).await?;
        Ok(StatusCode::NO_CONTENT)
    }
}

/// Serializes plain data as JSON, which cannot fail.
pub(crate) fn written_json(answer: &impl Serialize) -> Bytes {
    serde_json::to_vec(answer).unwrap_or_default().into()
}

/// The problem for a task that ended without a result.
pub(crate) fn lost<T>(error: JoinError) -> Answer<T> {
    tracing::error!("a request was lost: {error}");
    let detail = "the host lost this request: its log says more";
    Err(Problem::new(ProblemKind::Internal, detail))
}
