use std::{
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    task::Waker,
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    FrontOptions, Problem, Refusal,
    pace::{Stopwatch, later},
};

/// The state of a connection that its servers share: its socket, its requests and its deadlines.
#[derive(Debug)]
pub(crate) struct Connection {
    local: SocketAddr,
    peer: SocketAddr,
    head_patience: Duration,
    idle_patience: Duration,
    head_bytes: usize,
    head_fields: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    writing: Stopwatch,
    /// Whether a request's body was not read to its end, so the peer may still be sending.
    unread: bool,
    /// Whether a response is not completely written.
    unanswered: bool,
    /// Whether malformed input has arrived that is not yet reported.
    malformed: bool,
    /// Whether the peer has stopped sending, as far as known.
    end: End,
}

/// The end of the peer's input.
///
/// A peer may shut down its writing side and still wait for the response. While a request is being answered,
/// the end is therefore hidden from the HTTP connection, which would abort. It is shown at once if the
/// response is an event stream, which nothing else would end, or if the rest of a body is awaited.
#[derive(Debug)]
enum End {
    /// The end has not arrived.
    NotSeen,
    /// The end has arrived and is hidden; showing it wakes the reader.
    KeptBack(Waker),
    /// The end has arrived, or will be shown when it arrives.
    Shown,
}

/// What the connection is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The first request. The peer has sent nothing.
    Opened { until: Instant },
    /// The rest of a head.
    Head { until: Instant },
    /// A handler, or the peer reading the response. Both have their own deadlines.
    Busy,
    /// The next request.
    Idle { until: Instant },
    /// The peer closing its side.
    Closing { until: Instant },
}

/// How long to keep reading from a peer after the last response. Closing earlier would reset the connection,
/// and the peer might not see why it was refused.
const LINGER: Duration = Duration::from_secs(2);

impl Connection {
    pub(crate) fn new(local: SocketAddr, peer: SocketAddr, options: &FrontOptions) -> Self {
        let until = later(Instant::now(), options.head_patience);
        Self {
            local,
            peer,
            head_patience: options.head_patience,
            idle_patience: options.idle_patience,
            head_bytes: options.head_bytes,
            head_fields: options.head_fields,
            state: Mutex::new(State {
                phase: Phase::Opened { until },
                writing: Stopwatch::new(options.response),
                unread: false,
                unanswered: false,
                malformed: false,
                end: End::NotSeen,
            }),
        }
    }

    /// Returns the address that the peer connected to.
    pub(crate) const fn local(&self) -> SocketAddr {
        self.local
    }

    pub(crate) const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Returns the time at which the peer has delayed the connection too long; `None` if it is not delaying.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let state = self.state();
        let until = match state.phase {
            Phase::Busy => None,
            Phase::Opened { until }
            | Phase::Head { until }
            | Phase::Idle { until }
            | Phase::Closing { until } => Some(until),
        };
        // A peer that does not read the last response is not idle.
        state.writing.deadline().or(until)
    }

    /// Records that the head of a request is complete.
    pub(crate) fn begin_request(&self) {
        let mut state = self.state();
        state.phase = Phase::Busy;
        state.unanswered = true;
        state.end = End::NotSeen;
        state.writing.restart();
    }

    /// Records that the response is an event stream, which ends when its peer does.
    pub(crate) fn begin_stream(&self) {
        self.state().show_end();
    }

    /// Records that the rest of a request's body is awaited. If the peer has stopped sending, it will not
    /// arrive.
    pub(crate) fn wait_for_body(&self) {
        let mut state = self.state();
        if matches!(state.end, End::KeptBack(_)) {
            state.show_end();
        }
    }

    /// Records that the response is complete.
    pub(crate) fn end_request(&self) {
        let mut state = self.state();
        if state.phase == Phase::Busy {
            state.phase = Phase::Idle { until: later(Instant::now(), self.idle_patience) };
        }
    }

    /// Records that the rest of a request's body will not be read.
    pub(crate) fn leave_unread(&self) {
        self.state().unread = true;
    }

    pub(crate) fn read(&self) {
        let mut state = self.state();
        match state.phase {
            Phase::Opened { until } => state.phase = Phase::Head { until },
            Phase::Idle { .. } => {
                state.phase = Phase::Head { until: later(Instant::now(), self.head_patience) };
            }
            Phase::Head { .. } | Phase::Busy | Phase::Closing { .. } => {}
        }
    }

    pub(crate) fn wait_to_write(&self) {
        self.state().writing.wait(Instant::now());
    }

    pub(crate) fn written(&self, bytes: usize) {
        let now = Instant::now();
        let mut state = self.state();
        state.writing.advance(bytes, now);
        if let Phase::Idle { until } = &mut state.phase {
            *until = later(now, self.idle_patience);
        }
    }

    /// Records that all output is written.
    pub(crate) fn flushed(&self) {
        let mut state = self.state();
        if state.phase != Phase::Busy {
            state.unanswered = false;
            if matches!(state.end, End::KeptBack(_)) {
                state.show_end();
            }
        }
    }

    /// Records the end of the peer's input. Returns whether to show it to the reader now.
    pub(crate) fn end(&self, reader: &Waker) -> bool {
        let mut state = self.state();
        if state.unanswered && !matches!(state.end, End::Shown) {
            state.end = End::KeptBack(reader.clone());
            return false;
        }
        true
    }

    /// Records the end of the output. Returns whether to wait until the peer has read it.
    pub(crate) fn close(&self) -> bool {
        let mut state = self.state();
        if !matches!(state.phase, Phase::Closing { .. }) {
            state.phase = Phase::Closing { until: later(Instant::now(), LINGER) };
        }
        state.unread
    }

    /// Records that the input is not a valid request.
    pub(crate) fn is_malformed(&self) {
        self.state().malformed = true;
    }

    /// Returns a problem to replace the HTTP library's own response. The library responds by itself, with an
    /// empty body, when it cannot parse a head: any output while no request is being answered is such a
    /// response. The connection ends after it.
    pub(crate) fn own_words(&self, bytes: &[u8]) -> Option<Problem> {
        let mut state = self.state();
        if state.unanswered || matches!(state.phase, Phase::Busy | Phase::Closing { .. }) {
            return None;
        }
        let is_too_large =
            bytes.starts_with(b"HTTP/1.1 431 ") || bytes.starts_with(b"HTTP/1.1 414 ");
        if !is_too_large && !bytes.starts_with(b"HTTP/1.1 400 ") {
            return None;
        }
        // The peer may still be sending the head.
        state.unread = true;
        Some(if is_too_large { self.head_too_large() } else { malformed() })
    }

    fn head_too_large(&self) -> Problem {
        let Self { head_bytes, head_fields, .. } = self;
        let detail = format!(
            "the head of the request is too large: send at most {head_bytes} bytes, the target included, and {head_fields} header fields"
        );
        Problem::new(Refusal::HeadTooLarge, detail)
    }

    /// Returns the last response to a peer that timed out or sent an invalid request. A peer that sent
    /// nothing does not expect a response.
    pub(crate) fn last_words(&self) -> Option<Problem> {
        let state = self.state();
        let Phase::Head { until } = state.phase else { return None };
        if state.writing.deadline().is_some() {
            return None;
        }
        if state.malformed {
            return Some(malformed());
        }
        let detail = || {
            let bound = self.head_patience;
            format!("the head of the request did not arrive within {bound:?}: send it in one piece")
        };
        (until <= Instant::now()).then(|| Problem::new(Refusal::Timeout, detail()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is a single assignment, so a panic leaves a consistent state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn show_end(&mut self) {
        if let End::KeptBack(reader) = std::mem::replace(&mut self.end, End::Shown) {
            reader.wake();
        }
    }
}

fn malformed() -> Problem {
    let detail = "this is not a request in HTTP/1.1: send a line such as `GET /v1/services HTTP/1.1`, header fields such as `Host: localhost`, and an empty line; neither TLS nor HTTP/2 is spoken here";
    Problem::new(Refusal::Invalid, detail)
}
