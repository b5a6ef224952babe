use std::sync::Arc;

use axum::http::StatusCode;
use tokio::sync::{Semaphore, watch};

use crate::{Host, HostError, Put};

use super::{ApiOptions, Problem, ProblemKind, problem::Answer};

/// What every handler shares.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) host: Arc<Host>,
    pub(super) options: ApiOptions,
    pub(super) closing: Closing,
    /// Taken by whoever reads an upload into memory.
    pub(super) uploads: Arc<Semaphore>,
}

/// So many uploads are read at the same time; the others wait before they send.
const UPLOADS: usize = 4;

/// Tells what never ends by itself, above all event streams, that the server is closing.
#[derive(Clone, Debug, Default)]
pub(super) struct Closing(Arc<watch::Sender<bool>>);

impl Api {
    pub(super) fn new(host: Arc<Host>, options: ApiOptions, closing: Closing) -> Self {
        Self { host, options, closing, uploads: Arc::new(Semaphore::new(UPLOADS)) }
    }

    /// Asks the host on a thread that may block. The question is answered to its end, even if the
    /// client has gone.
    pub(super) async fn ask<T, F>(&self, question: F) -> Answer<T>
    where
        T: Send + 'static,
        F: FnOnce(&Arc<Host>) -> Result<T, HostError> + Send + 'static,
    {
        let host = Arc::clone(&self.host);
        match tokio::task::spawn_blocking(move || question(&host)).await {
            Ok(answer) => answer.map_err(Problem::from),
            Err(lost) => {
                tracing::error!("a request was lost: {lost}");
                let detail = "the host lost this request: its log says more";
                Err(Problem::new(ProblemKind::Internal, detail))
            }
        }
    }
}

impl Closing {
    pub(super) fn begin(&self) {
        self.0.send_replace(true);
    }

    /// Returns once the server is closing.
    pub(super) async fn begun(&self) {
        // The sender lives in `self`, so waiting does not fail.
        drop(self.0.subscribe().wait_for(|closing| *closing).await);
    }
}

/// The status of an answer to PUT.
pub(super) const fn status(put: Put) -> StatusCode {
    match put {
        Put::Created => StatusCode::CREATED,
        Put::Updated => StatusCode::OK,
    }
}
