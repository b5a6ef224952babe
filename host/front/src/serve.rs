use std::{
    convert::Infallible,
    future::poll_fn,
    io::{self, Write},
    net::{Shutdown, SocketAddr},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{HeaderName, HeaderValue, Method, header},
    middleware,
    response::{IntoResponse, Response},
};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
};
use tower::ServiceExt;

use crate::{
    FrontOptions, Principal, Problem, Refusal,
    admission::{Admission, admit, is_event_stream},
    body::{Held, Late, Paced},
    connection::Connection,
    date::http_date,
    origin::{Guard, check_origin},
    pace::later,
    watched::Watched,
};

/// Maximum number of refused connections that stay open until the peer has read the reason; further ones
/// close at once.
const REFUSALS: usize = 64;

/// Time limit for a refused peer to read the reason.
const REFUSAL_LINGER: Duration = Duration::from_secs(1);

/// Pause after the system failed to accept a connection, for example for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The minimum buffer size of hyper, in bytes.
const LEAST_BUFFER: usize = 8 << 10;

/// The maximum number of header fields that hyper supports.
const MOST_FIELDS: usize = 8 << 10;

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");
const NO_SNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// Serves `router` on `listener` until `shutdown` resolves. Then it accepts no further connections, ends the
/// event streams, and gives requests in flight the time in [`FrontOptions::drain`]: requests without a
/// response by then get a 503, and their handlers are dropped.
///
/// A client may shut down its writing side after its request and still gets the response. Only an event
/// stream ends when its client does that.
///
/// Each request has a [`Principal`] and axum's `ConnectInfo<SocketAddr>` in its extensions. If a request's
/// body arrives too slowly, the handler's read fails, and the client gets a 408 whatever the handler answers.
///
/// # Errors
/// When the listener has no address.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    options: FrontOptions,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    listener.local_addr()?;
    let (close, closing) = watch::channel(None);
    let guard = Arc::new(Guard::new(options.hosts.clone()));
    let admission = Arc::new(Admission::new(&options, closing.clone()));
    let router = router
        .layer(middleware::from_fn_with_state(admission, admit))
        .layer(middleware::from_fn_with_state(guard, check_origin));
    let server = Arc::new(Server { router, options, closing });
    let mut connections = JoinSet::new();
    let mut refusals = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        while connections.try_join_next().is_some() {}
        while refusals.try_join_next().is_some() {}
        match accepted {
            Ok((stream, peer)) if connections.len() < server.options.connections => {
                connections.spawn(Arc::clone(&server).converse(stream, peer));
            }
            Ok((stream, _)) => {
                if let Ok(stream) = server.refuse(stream)
                    && refusals.len() < REFUSALS
                {
                    refusals.spawn(linger(stream));
                }
            }
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                tracing::warn!("no connection could be accepted: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let (now, drain) = (Instant::now(), server.options.drain);
    close.send_replace(Some(later(now, drain - drain / 10)));
    let drained = async { while connections.join_next().await.is_some() {} };
    if timeout_at(later(now, drain), drained).await.is_err() {
        tracing::warn!("closed with {} connections still busy", connections.len());
        connections.shutdown().await;
    }
    Ok(())
}

struct Server {
    router: Router,
    options: FrontOptions,
    /// After the shutdown has begun, the time until which requests may wait for their responses.
    closing: watch::Receiver<Option<Instant>>,
}

impl Server {
    /// Serves one connection until it closes or has delayed the server too long.
    async fn converse(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let Ok(local) = stream.local_addr() else { return };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!("a connection keeps Nagle's algorithm: {error}");
        }
        let connection = Arc::new(Connection::new(local, peer, &self.options));
        let io = TokioIo::new(Watched::new(stream, Arc::clone(&connection)));
        let hard = self.options.head_bytes.saturating_mul(2).max(LEAST_BUFFER);
        let service = service_fn(|request| {
            // Mark the connection as busy before the response is computed, so that input that arrives
            // meanwhile belongs to it.
            connection.begin_request();
            self.answer(request, &connection)
        });
        let http = http1::Builder::new()
            .header_read_timeout(None)
            // hyper's own date panics if the clock is out of range.
            .auto_date_header(false)
            .max_header_size(hard)
            .max_headers(self.options.head_fields.saturating_mul(2).min(MOST_FIELDS))
            .max_buf_size(hard)
            .serve_connection(io, service);
        let mut http = pin!(http);
        let mut timer = pin!(sleep_until(Instant::now()));
        let mut closing = self.closing.clone();
        let mut closed = pin!(closing.wait_for(Option::is_some));
        let mut is_closed = false;
        poll_fn(|context| {
            if !is_closed && closed.as_mut().poll(context).is_ready() {
                is_closed = true;
                http.as_mut().graceful_shutdown();
            }
            if let Poll::Ready(ended) = http.as_mut().poll(context) {
                if let Err(error) = ended {
                    if error.is_parse() {
                        connection.is_malformed();
                    }
                    tracing::debug!("a connection broke off: {error}");
                }
                return Poll::Ready(());
            }
            let Some(deadline) = connection.deadline() else { return Poll::Pending };
            if timer.deadline() != deadline {
                timer.as_mut().reset(deadline);
            }
            timer.as_mut().poll(context)
        })
        .await;
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        connection: &Arc<Connection>,
    ) -> Result<Response, Infallible> {
        let ends = EndsRequest(Arc::clone(connection));
        let late = Late::default();
        let mut request = request.map(|incoming| {
            let pace = self.options.body;
            Body::new(Paced::new(incoming, pace, Arc::clone(connection), late.clone()))
        });
        let extensions = request.extensions_mut();
        extensions.insert(Arc::clone(connection));
        extensions.insert(ConnectInfo(connection.peer()));
        extensions.insert(Principal::Anonymous);
        let is_head = request.method() == Method::HEAD;
        let mut response = tokio::select! {
            biased;
            Ok(response) = self.router.clone().oneshot(request) => response,
            () = self.too_late_to_wait() => stopping().into_response(),
        };
        if late.is_so() {
            response = self.too_slow().into_response();
        }
        if !is_head && is_event_stream(&response) {
            connection.begin_stream();
        }
        let headers = response.headers_mut();
        headers.insert(RESOURCE_POLICY, SAME_ORIGIN);
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, NO_SNIFF);
        if let Some(date) = http_date(SystemTime::now()) {
            headers.insert(header::DATE, date);
        }
        Ok(response.map(|body| Held::hold(body, ends, None)))
    }

    /// Resolves when the server is shutting down and the time for waiting requests is up.
    async fn too_late_to_wait(&self) {
        let mut closing = self.closing.clone();
        let until = closing.wait_for(Option::is_some).await.ok().and_then(|until| *until);
        if let Some(until) = until {
            sleep_until(until).await;
        }
    }

    fn too_slow(&self) -> Problem {
        let pace = self.options.body;
        let detail = format!(
            "the body arrived too slowly: it may be behind {} bytes per second for {:?} at most. Send it in one piece, and no slower than that",
            pace.bytes_per_second, pace.patience
        );
        Problem::new(Refusal::Timeout, detail)
    }

    /// Refuses a peer for lack of room, without waiting for it.
    fn refuse(&self, stream: TcpStream) -> io::Result<TcpStream> {
        let most = self.options.connections;
        let detail = format!(
            "{most} connections are open, which is the most: close those that are idle, or ask again later"
        );
        let text = Problem::new(Refusal::Busy, detail).to_wire();
        let mut stream = stream.into_std()?;
        // The response fits into the empty buffer of a new connection.
        stream.write_all(&text)?;
        stream.shutdown(Shutdown::Write)?;
        TcpStream::from_std(stream)
    }
}

/// The response to a request that the server can no longer wait for.
fn stopping() -> Problem {
    let detail = "the host is stopping, and this request was not done in time: look at what has become of it once the host runs again, and ask again for what is missing";
    Problem::new(Refusal::Stopping, detail)
}

/// Notifies a connection when the response has ended.
struct EndsRequest(Arc<Connection>);

impl Drop for EndsRequest {
    fn drop(&mut self) {
        self.0.end_request();
    }
}

/// Gives a refused peer time to read the reason, before the connection closes.
async fn linger(stream: TcpStream) {
    let until_closed = async {
        let mut scratch = [0; 1 << 10];
        while stream.readable().await.is_ok() {
            match stream.try_read(&mut scratch) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => break,
            }
        }
    };
    // The connection ends now, whether the peer has closed it or not.
    let _ = timeout(REFUSAL_LINGER, until_closed).await;
}

/// Whether accepting failed only for a single connection.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionRefused | ConnectionAborted | ConnectionReset)
}
