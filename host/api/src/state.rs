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

/// What every handler shares.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) host: Arc<Host>,
    /// The most bytes of an upload.
    pub(crate) upload_bytes: usize,
    /// Where uploads are received. They take no place among those that are compiled until they are whole.
    pub(crate) uploads: Room,
    /// Where all other bodies are received.
    pub(crate) documents: Room,
    /// Answers that grow with the number of services.
    pub(crate) large: Arc<Large>,
}

/// Answers that take long to work out where there is a lot.
#[derive(Debug, Default)]
pub(crate) struct Large {
    pub(crate) services: SharedAnswer,
    pub(crate) providers: SharedAnswer,
    pub(crate) leases: SharedAnswer,
    pub(crate) metrics: SharedAnswer,
    pub(crate) open_metrics: SharedAnswer,
}

/// JSON that is written already.
pub(crate) type SharedJson = ([(HeaderName, &'static str); 1], Bytes);

/// So many uploads are received at the same time.
const UPLOADS: usize = 64;

/// They are as large together as so many of the largest size.
const LARGEST_UPLOADS: usize = 4;

/// So many other bodies are received at the same time.
const DOCUMENTS: usize = 4096;

/// The most bytes of them together.
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

    /// The durable state.
    pub(crate) fn snapshot(&self) -> Arc<State> {
        self.host.snapshot()
    }

    /// Reads what lies on disk or takes a while to work out, on a thread that may block.
    pub(crate) async fn read<T, F>(&self, question: F) -> Answer<T>
    where
        T: Send + 'static,
        F: FnOnce(&Host) -> Answer<T> + Send + 'static,
    {
        let host = Arc::clone(&self.host);
        spawn_blocking(move || question(&host)).await.unwrap_or_else(lost)
    }

    /// Works out a large JSON answer, and writes it, on a thread that may block, once for all that ask at the
    /// same time.
    pub(crate) async fn shared_json(
        &self,
        shared: &SharedAnswer,
        write: impl FnOnce(&Host) -> Bytes + Send + 'static,
    ) -> Answer<SharedJson> {
        let bytes = shared.get(self.read(|host| Ok(write(host)))).await?;
        Ok(([(header::CONTENT_TYPE, "application/json")], bytes))
    }

    /// Has the host do something, to its end, even if the client goes away meanwhile.
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

    /// Adds or replaces a document, and says which of the two in the status.
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

/// JSON of plain data, which always has that form.
pub(crate) fn written_json(answer: &impl Serialize) -> Bytes {
    serde_json::to_vec(answer).unwrap_or_default().into()
}

/// A request that ended without an answer.
pub(crate) fn lost<T>(error: JoinError) -> Answer<T> {
    tracing::error!("a request was lost: {error}");
    let detail = "the host lost this request: its log says more";
    Err(Problem::new(ProblemKind::Internal, detail))
}
