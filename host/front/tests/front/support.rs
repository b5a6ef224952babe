//! A front on a socket of its own, and clients that write bytes.

use std::{
    convert::Infallible,
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use axum::{
    Extension, Router,
    body::{Body, Bytes},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use haggle_front::{FrontOptions, Pace, Principal, Problem};
use tokio::sync::{Semaphore, oneshot};
use tokio_stream::StreamExt;

/// How long a test waits for what must happen, before it fails.
const BOUND: Duration = Duration::from_secs(30);

/// Short enough to be waited for, and long enough for a busy machine to be in time.
pub(crate) const SOON: Duration = Duration::from_secs(1);

/// No slower than this many bytes a second, which no test reaches, or within the patience.
pub(crate) const STRICT: Pace = Pace { patience: SOON, bytes_per_second: 1 << 40 };

/// More bytes than the buffers of a connection take.
pub(crate) const LARGE: usize = 32 << 20;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shutdown: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<io::Result<()>>>,
    /// Lets held requests go.
    release: Arc<Semaphore>,
    /// A word for each request that is held or waits, and for each flood and each wait that ends.
    words: mpsc::Receiver<&'static str>,
}

pub(crate) struct Client(TcpStream);

struct SaysWhenDropped(mpsc::Sender<&'static str>, &'static str);

impl Drop for SaysWhenDropped {
    fn drop(&mut self) {
        let _ = self.0.send(self.1);
    }
}

impl Server {
    pub(crate) fn start(options: FrontOptions) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let release = Arc::new(Semaphore::new(0));
        let (say, words) = mpsc::channel();
        let router = router(Arc::clone(&release), say);
        let (shutdown, signal) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            runtime.block_on(haggle_front::serve(listener, router, options, async {
                let _ = signal.await;
            }))
        });
        let (shutdown, thread) = (Some(shutdown), Some(thread));
        Self { address, shutdown, thread, release, words }
    }

    pub(crate) fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(BOUND)).unwrap();
        stream.set_write_timeout(Some(BOUND)).unwrap();
        Client(stream)
    }

    /// One request on a connection of its own, without a body.
    pub(crate) fn ask(&self, method: &str, path: &str) -> String {
        let mut client = self.connect();
        client.send(&format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        ));
        client.rest()
    }

    pub(crate) fn expect(&self, word: &str) {
        assert_eq!(self.words.recv_timeout(BOUND).unwrap(), word);
    }

    pub(crate) fn release(&self, requests: usize) {
        self.release.add_permits(requests);
    }

    pub(crate) fn begin_shutdown(&mut self) {
        self.shutdown.take().unwrap().send(()).unwrap();
    }

    /// Waits until the server has ended.
    pub(crate) fn join(&mut self) {
        self.thread.take().unwrap().join().unwrap().unwrap();
    }
}

impl Client {
    pub(crate) fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }

    /// Sends nothing more, and reads on.
    pub(crate) fn end(&mut self) {
        self.0.shutdown(Shutdown::Write).unwrap();
    }

    /// Waits until an answer has come that it does not read. A client that goes away then breaks the
    /// connection off.
    pub(crate) fn leave_unread(&mut self) {
        assert_eq!(self.0.peek(&mut [0]).unwrap(), 1);
    }

    /// Everything until the server closes the connection.
    pub(crate) fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// Reads until `end` has come.
    pub(crate) fn until(&mut self, end: &str) -> String {
        let mut bytes = Vec::new();
        let mut byte = [0];
        while !bytes.ends_with(end.as_bytes()) {
            assert_eq!(self.0.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&bytes));
            bytes.push(byte[0]);
        }
        String::from_utf8(bytes).unwrap()
    }

    /// Sends a byte at a time, as a client that wants to stay, until the server answers.
    pub(crate) fn trickle(&mut self, byte: &str) -> String {
        self.0.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let mut buffer = [0; 4096];
        for _ in 0..1500 {
            let _ = self.0.write_all(byte.as_bytes());
            match self.0.read(&mut buffer) {
                Ok(0) => return String::new(),
                Ok(read) => {
                    self.0.set_read_timeout(Some(BOUND)).unwrap();
                    let mut bytes = buffer[..read].to_vec();
                    let _ = self.0.read_to_end(&mut bytes);
                    return String::from_utf8(bytes).unwrap();
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) => {}
                Err(error) => panic!("the connection broke: {error}"),
            }
        }
        panic!("the server let a trickle go on");
    }

    /// Whether the server has closed or reset the connection, once all that it sent is read.
    pub(crate) fn is_closed(&mut self) -> bool {
        let mut buffer = vec![0; 1 << 16];
        loop {
            match self.0.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() == io::ErrorKind::ConnectionReset,
            }
        }
    }
}

/// The problem in a response, after its head is checked to be that of a problem.
pub(crate) fn problem(response: &str) -> Problem {
    let (head, body) = response.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{response:?}"));
    assert!(head.contains("content-type: application/problem+json"), "{response}");
    let problem: Problem = serde_json::from_str(body).unwrap();
    assert!(head.starts_with(&format!("HTTP/1.1 {} ", problem.status)), "{response}");
    assert_eq!(head.contains("retry-after: 1"), problem.status == 503, "{response}");
    problem
}

pub(crate) fn is_ok(response: &str) -> bool {
    response.starts_with("HTTP/1.1 200 ")
}

fn router(release: Arc<Semaphore>, say: mpsc::Sender<&'static str>) -> Router {
    let flood_say = say.clone();
    let wait_say = say.clone();
    let wait = move || async move {
        wait_say.send("waits").unwrap();
        let _ends = SaysWhenDropped(wait_say, "wait ended");
        std::future::pending::<()>().await;
    };
    let hold = move || async move {
        say.send("held").unwrap();
        release.acquire().await.unwrap().forget();
        "held"
    };
    let flood = move || async move {
        let ends = SaysWhenDropped(flood_say, "flood ended");
        let chunks = std::iter::repeat_with(move || {
            let _ = &ends;
            Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 1 << 16]))
        });
        Body::from_stream(tokio_stream::iter(chunks))
    };
    Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(async || "ok"))
        .route("/metrics", get(async || "ok"))
        .route("/", get(async || "index").post(async || "changed"))
        .route("/who", get(async |Extension(who): Extension<Principal>| format!("{who:?}")))
        .route("/length", post(length))
        .route("/events", get(events))
        .route("/hold", get(hold))
        .route("/wait", get(wait))
        .route("/large", get(async || "x".repeat(LARGE)))
        .route("/flood", get(flood))
}

async fn length(body: Body) -> Response {
    match axum::body::to_bytes(body, usize::MAX).await {
        Ok(bytes) => bytes.len().to_string().into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

async fn events() -> Response {
    let first = tokio_stream::once(Ok::<_, Infallible>("data: first\n\n"));
    let body = Body::from_stream(first.chain(tokio_stream::pending()));
    ([(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")], body).into_response()
}
