use std::{
    future::pending,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, mpsc},
    time::Duration,
};

use haggle_model::Endpoint;
use haggle_negotiate::Message;
use haggle_runtime::{Host, HostOptions};
use haggle_transport::{BoxFuture, Reply, Transport, Transports};
use tokio::{net::TcpListener, sync::oneshot};

use super::options;
use crate::{ApiOptions, serve};

/// Time limit for an expected condition; the test fails after it.
const BOUND: Duration = Duration::from_secs(60);

/// A transport to parties that never answer. It reports each negotiation that is about to wait.
struct Silence(mpsc::Sender<String>);

impl Transport for Silence {
    fn deliver<'a>(&'a self, _: &'a Endpoint, message: &'a Message) -> BoxFuture<'a, Reply> {
        // If nobody listens, the test is over.
        drop(self.0.send(message.session.clone()));
        Box::pin(pending())
    }
}

fn connect(address: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> String {
    let mut text = String::new();
    connect(address, &written(method, path, body)).read_to_string(&mut text).unwrap();
    text
}

fn written(method: &str, path: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// More requests wait for a verdict than other requests may be in flight; they fill only their own limit.
#[test]
fn who_waits_for_a_verdict_keeps_nobody_from_reading() {
    let (say, silent) = mpsc::channel();
    let transport = Transports::new().with("http", Arc::new(Silence(say)));
    let host = Host::open(HostOptions { live: true, transport, ..options() }).unwrap();
    let mut front = ApiOptions::default().front;
    front.requests = 2;
    front.routes[0].requests = 5;
    let options = ApiOptions { front, ..ApiOptions::default() };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server =
        runtime.spawn(serve(listener, host.into(), options, async { drop(stopped.await) }));

    let service = r#"{"replica": {"capacity": {"requests_per_second": 1}}}"#;
    let mute = service.replacen('{', r#"{"endpoint": "http://127.0.0.1:9/", "#, 1);
    let edge = r#"{"ratios": {"requests_per_second": 1}}"#;
    for (path, document) in [
        ("/v1/services/web", service),
        ("/v1/services/mute", &mute),
        ("/v1/dependencies/web/mute", edge),
    ] {
        let put = ask(address, "PUT", path, document);
        assert!(put.starts_with("HTTP/1.1 201"), "{path}: {put}");
    }
    let wanted = r#"{"service": "web", "replicas": 3, "deadline": "10m", "dry_run": true}"#;
    let mut negotiations = std::collections::BTreeSet::new();
    let mut waiting = Vec::new();
    for n in 1..=5 {
        waiting.push(connect(address, &written("POST", "/v1/scaling-requests", wanted)));
        while negotiations.len() < n {
            negotiations.insert(silent.recv_timeout(BOUND).unwrap());
        }
    }
    let refused = ask(address, "POST", "/v1/scaling-requests", wanted);
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    assert!(refused.contains("retry-after: 1"), "{refused}");
    assert!(refused.contains("5 requests to /v1/scaling-requests"), "{refused}");
    for path in ["/v1/services/mute", "/v1/graph", "/v1/leases", "/healthz"] {
        let read = ask(address, "GET", path, "");
        assert!(read.starts_with("HTTP/1.1 200"), "{path}: {read}");
    }
    stop.send(()).unwrap();
    for mut client in waiting {
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.contains("retry-after: 1"), "{answer}");
        assert!(answer.contains("urn:haggle:problem:stopping"), "{answer}");
        assert!(!answer.contains("location: "), "a dry run is kept nowhere: {answer}");
    }
    runtime.block_on(server).unwrap().unwrap();
}
