use std::time::Duration;

use axum::http::Method;

use crate::AllowedHost;

/// How slowly a peer may send or take bytes. Only the time counts in which the host waits for the peer. A peer
/// may fall behind `bytes_per_second` by `patience`, and catches up by being faster; being ahead does not add
/// up. A large body therefore has as long as its size needs, a trickle has not, and neither has a peer that
/// sends much at once and then nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How long the peer may keep the host waiting, however little it moves.
    pub patience: Duration,
    /// The slowest rate at which a peer that is slower than `patience` still makes headway. 0 counts as 1.
    pub bytes_per_second: u64,
}

/// A bound of its own for some requests: those that may wait for long, so that they keep nobody else out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteBound {
    /// Requests with one of these methods.
    pub methods: Vec<Method>,
    /// Requests to this path and to those below it.
    pub path: String,
    /// The most requests in flight. Further ones get a 503.
    pub requests: usize,
}

/// The bounds of a front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontOptions {
    /// How long a request's head may take from its first byte on, and a new connection until its first
    /// request's head is complete.
    pub head_patience: Duration,
    /// How long a connection may be idle between requests.
    pub idle_patience: Duration,
    /// How fast a request's body must arrive, while a handler reads it.
    pub body: Pace,
    /// How fast a response must be taken, event streams included.
    pub response: Pace,
    /// The most bytes of a request's head, the target included.
    pub head_bytes: usize,
    /// The most fields of a request's head; more than 8192 count as 8192.
    pub head_fields: usize,
    /// The most connections. Further ones get a 503 and are closed.
    pub connections: usize,
    /// The most requests in flight, from the head until the response is written. Further ones get a 503.
    /// Event streams, requests that have a bound in `routes`, and those to `/livez`, `/healthz`,
    /// `/readyz` and `/metrics` do not count.
    pub requests: usize,
    /// Bounds of their own; the first that fits a request counts.
    pub routes: Vec<RouteBound>,
    /// The most event streams: responses of the type `text/event-stream`. Further ones get a 503.
    pub event_streams: usize,
    /// How long requests in flight may take to end once the front shuts down. The last tenth of it is for
    /// responses alone: a request that has none by then gets a 503.
    pub drain: Duration,
    /// By which names, beside `localhost`, loopback addresses and the address of the connection, clients
    /// may ask for the host.
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
