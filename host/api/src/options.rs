use axum::http::Method;
use haggle_front::{FrontOptions, RouteBound};

/// Options of the API beside the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiOptions {
    /// Maximum size of a plugin upload, in bytes. A larger upload is refused while it arrives.
    pub upload_bytes: usize,
    /// Limits on the resources that clients can use.
    pub front: FrontOptions,
}

/// Maximum number of scaling requests that wait for their verdict. They have their own limit, so that waiting
/// requests do not block reads.
const WAITING: usize = 4096;

/// Maximum number of connections: for waiting requests, other requests, event streams and idle connections.
const CONNECTIONS: usize = 6144;

impl Default for ApiOptions {
    fn default() -> Self {
        let waiting = RouteBound {
            methods: vec![Method::POST, Method::PUT],
            path: "/v1/scaling-requests".to_owned(),
            requests: WAITING,
        };
        // Writes have their own limit, so that slow bodies do not block reads.
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
