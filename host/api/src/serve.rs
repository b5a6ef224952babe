use std::io;

use axum::http::Method;
use haggle_front::{FrontOptions, RouteBound};
use tokio::net::TcpListener;

use crate::{Opening, opening};

/// What the API is told beside the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiOptions {
    /// The most bytes of a plugin's upload; more is refused while it arrives.
    pub upload_bytes: usize,
    /// What clients may take of the server.
    pub front: FrontOptions,
}

/// So many scaling requests may wait for their verdict. They are counted apart from other requests, so that
/// whoever waits keeps nobody from reading.
const WAITING: usize = 4096;

/// Room for those who wait, beside the other requests, the event streams and idle connections.
const CONNECTIONS: usize = 6144;

impl Default for ApiOptions {
    fn default() -> Self {
        let waiting = RouteBound {
            methods: vec![Method::POST, Method::PUT],
            path: "/v1/scaling-requests".to_owned(),
            requests: WAITING,
        };
        // Bodies that come slowly keep nobody from reading.
        let writing = RouteBound {
            methods: vec![Method::POST, Method::PUT, Method::DELETE],
            path: String::new(),
            requests: FrontOptions::default().requests,
        };
        Self {
            upload_bytes: haggle_sandbox::Limits::default().upload_bytes,
            front: FrontOptions {
                connections: CONNECTIONS,
                routes: vec![waiting, writing],
                ..FrontOptions::default()
            },
        }
    }
}

/// Serves the API of a host, which may still be opening, on `listener` until `shutdown` resolves. Then it accepts nothing more, ends the event
/// streams, and gives requests in flight the time that the front's options say. Whoever waits for a verdict
/// does not wait on: a 503 says where to find it once the host runs again.
///
/// # Errors
/// When the listener has no address.
pub async fn serve(
    listener: TcpListener,
    opening: Opening,
    options: ApiOptions,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let router = opening::router(opening.clone(), options.clone());
    let shutdown = async move {
        shutdown.await;
        if let Some(host) = opening.host() {
            host.stop_waiting();
        }
    };
    haggle_front::serve(listener, router, options.front, shutdown).await
}
