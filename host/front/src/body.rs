use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use axum::body::{Body as AxumBody, Bytes};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::{Pace, connection::Connection, pace::Stopwatch};

/// A request body that must arrive at a minimum pace.
pub(crate) struct Paced {
    incoming: Incoming,
    connection: Arc<Connection>,
    watch: Stopwatch,
    timer: Option<Pin<Box<Sleep>>>,
    late: Late,
    ended: bool,
}

/// Whether a request's body was too slow.
#[derive(Clone, Default)]
pub(crate) struct Late(Arc<AtomicBool>);

/// The error that a handler gets for a body that is too slow. Whatever the handler answers, the client gets a
/// timeout.
#[derive(Debug, thiserror::Error)]
#[error("the body arrived too slowly")]
struct TooSlow;

/// A response body that holds a value until it is written or dropped, and that may end early.
pub(crate) struct Held<G> {
    body: AxumBody,
    until: Option<Ending>,
    _held: G,
}

/// Resolves when a body must end.
pub(crate) type Ending = Pin<Box<dyn Future<Output = ()> + Send>>;

type Polled = Poll<Option<Result<Frame<Bytes>, axum::Error>>>;

impl Late {
    pub(crate) fn is_so(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Paced {
    pub(crate) fn new(
        incoming: Incoming,
        pace: Pace,
        connection: Arc<Connection>,
        late: Late,
    ) -> Self {
        let watch = Stopwatch::new(pace);
        Self { incoming, connection, watch, timer: None, late, ended: false }
    }

    /// Whether the sender has used up its time.
    fn poll_overdue(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.watch.wait(Instant::now());
        let Some(deadline) = self.watch.deadline() else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(context)
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled {
        if self.ended {
            return Poll::Ready(None);
        }
        match Pin::new(&mut self.incoming).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.watch.advance(bytes, Instant::now());
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(axum::Error::new(error)))),
            Poll::Ready(None) => {
                self.ended = true;
                Poll::Ready(None)
            }
            Poll::Pending => {
                self.connection.wait_for_body();
                ready!(self.poll_overdue(context));
                self.late.0.store(true, Ordering::Relaxed);
                self.connection.leave_unread();
                self.ended = true;
                Poll::Ready(Some(Err(axum::Error::new(TooSlow))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for Paced {
    fn drop(&mut self) {
        if !self.is_end_stream() {
            self.connection.leave_unread();
        }
    }
}

impl<G: Send + Unpin + 'static> Held<G> {
    /// Holds `held` as long as the body, which ends early when `until` resolves.
    pub(crate) fn hold(body: AxumBody, held: G, until: Option<Ending>) -> AxumBody {
        AxumBody::new(Self { body, until, _held: held })
    }
}

impl<G: Unpin> Body for Held<G> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled {
        if self.until.as_mut().is_some_and(|until| until.as_mut().poll(context).is_ready()) {
            self.until = None;
            self.body = AxumBody::empty();
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
