use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
};

use axum::body::Body;
use tokio::{net::TcpListener, sync::oneshot};
use tokio_stream::StreamExt;
use tower::ServiceExt;

use super::{HOST, get, put, request};
use crate::{ApiOptions, router, serve};

const SERVICE: &str = r#"{"replica": {"capacity": {"requests_per_second": 1}}}"#;

async fn events() -> Body {
    get("/healthz").await;
    let router = router(Arc::clone(&HOST), &ApiOptions::default());
    let response = router.oneshot(request("GET", "/v1/events")).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    response.into_body()
}

#[tokio::test]
async fn what_happens_is_told() {
    let mut stream = events().await.into_data_stream();
    put("/v1/services/streamed", SERVICE).await.json(201);
    let mut told = String::new();
    while !told.contains("service streamed changed") {
        told = String::from_utf8(stream.next().await.unwrap().unwrap().to_vec()).unwrap();
    }
    let line = |prefix: &str| told.lines().find_map(|line| line.strip_prefix(prefix)).unwrap();
    assert_eq!(line("event: "), "catalog");
    let event: serde_json::Value = serde_json::from_str(line("data: ")).unwrap();
    assert_eq!(event["subject"], "streamed");
    assert_eq!(event["id"].to_string(), line("id: "));
}

#[tokio::test(flavor = "multi_thread")]
async fn serves_until_it_is_told_to_stop() {
    get("/healthz").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async { drop(stopped.await) };
    let server =
        tokio::spawn(serve(listener, Arc::clone(&HOST).into(), ApiOptions::default(), shutdown));
    let text = tokio::task::spawn_blocking(move || {
        let mut following = TcpStream::connect(address).unwrap();
        following.write_all(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut first = [0; 12];
        following.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        drop(stop);
        // The stream ends properly: its last chunk is the empty one.
        let mut rest = String::new();
        following.read_to_string(&mut rest).unwrap();
        rest
    });
    assert!(text.await.unwrap().ends_with("0\r\n\r\n"));
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_router_stands_alone() {
    get("/healthz").await;
    let router = router(Arc::clone(&HOST), &ApiOptions::default());
    let response = router.oneshot(request("HEAD", "/healthz")).await.unwrap();
    assert_eq!(response.status(), 200);
}
