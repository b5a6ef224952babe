use std::time::Duration;

use axum::http::Method;

use crate::AllowedHost;

/// The minimum rate at which a peer must send or read bytes. Only the time in which the host waits for the
/// peer counts. A peer may fall behind `bytes_per_second` by `patience`, and catches up by being faster;
/// being ahead does not accumulate. A large body therefore gets the time that its size needs. A peer that
/// sends a trickle, or much data at once and then nothing, times out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How long the peer may keep the host waiting without progress.
    pub patience: Duration,
    /// The minimum rate of a peer that takes longer than `patience`, in bytes per second. 0 counts as 1.
    pub bytes_per_second: u64,
}

/// A separate limit for requests that may wait long, so that they do not block others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteBound {
    /// The methods of these requests.
    pub methods: Vec<Method>,
    /// The path of these requests; includes all paths below it.
    pub path: String,
    /// Maximum number of requests in flight. Further ones get a 503.
    pub requests: usize,
}

/// The limits of a front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontOptions {
    /// Time limit for a request's head from its first byte on, and for a new connection to complete its first
    /// head.
    pub head_patience: Duration,
    /// Time limit of an idle connection between requests.
    pub idle_patience: Duration,
    /// Minimum pace of a request's body, while a handler reads it.
    pub body: Pace,
    /// Minimum pace at which a client must read a response, including event streams.
    pub response: Pace,
    /// Maximum size of a request's head in bytes, including the target.
    pub head_bytes: usize,
    /// Maximum number of header fields of a request; values above 8192 count as 8192.
    pub head_fields: usize,
    /// Maximum number of connections. Further ones get a 503 and are closed.
    pub connections: usize,
    /// Maximum number of requests in flight, from the head until the response is written. Further ones get a
    /// 503. Event streams, requests with a limit in `routes`, and requests to `/livez`, `/healthz`, `/readyz`
    /// and `/metrics` do not count.
    pub requests: usize,
    /// Separate limits; the first one that matches a request applies.
    pub routes: Vec<RouteBound>,
    /// Maximum number of event streams, which are responses of type `text/event-stream`. Further ones get a
    /// 503.
    pub event_streams: usize,
    /// Time limit for requests in flight once the front shuts down. Its last tenth is reserved for responses:
    /// a request without a response by then gets a 503.
    pub drain: Duration,
    /// Hosts that clients may use, in addition to `localhost`, loopback addresses and the address of the
    /// connection.
    pub hosts: Vec<AllowedHost>,
}

impl Default for FrontOptions {
    fn default() -> Self {
        Self {
            head_patience: Duration::from_secs(10),
            idle_patience: Duration::from_secs(60),
            body: Pace { patience: Duration::from_secs(30), bytes_per_second: 16 << 10 },
            response: Pace { patience: Duration::from_secs(30), bytes_per_second: 1 << 10 },
            head_bytes: 32 << 10,
            head_fields: 100,
            connections: 1024,
            requests: 512,
            routes: Vec::new(),
            event_streams: 128,
            drain: Duration::from_secs(10),
            hosts: Vec::new(),
        }
    }
}
