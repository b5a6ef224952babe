mod documents;
mod openapi;
mod plugins;
mod problems;
mod providers;
mod reserving;
mod streams;
mod waiting;

use std::{
    path::Path,
    sync::{Arc, LazyLock},
};

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode, header},
};
use haggle_runtime::{Host, HostOptions};
use serde_json::Value;
use tower::ServiceExt;

use super::{ApiOptions, Problem, ProblemKind, router};

/// One stepped host for all tests, because its plugins take long to compile. Each test uses its own names.
static HOST: LazyLock<Arc<Host>> = LazyLock::new(|| Host::open(options()).unwrap());

/// Options of a host that shares its compiled built-in plugins between all tests.
fn options() -> HostOptions {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tmp");
    let cache = Some(target.join("plugins"));
    let sandbox = haggle_sandbox::Options { cache, ..haggle_sandbox::Options::default() };
    HostOptions { sandbox, ..HostOptions::default() }
}

struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Reply {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The body as JSON. Asserts the status.
    #[track_caller]
    fn json(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/json");
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Asserts a complete problem of this kind whose detail contains each of `hints`.
    #[track_caller]
    fn is_problem(&self, kind: ProblemKind, hints: &[&str]) {
        assert_eq!(self.status, kind.status(), "{}", self.text());
        assert_eq!(self.headers[header::CONTENT_TYPE], Problem::MEDIA_TYPE);
        let problem: Problem = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(problem, Problem::new(kind, problem.detail.clone()));
        for hint in hints {
            assert!(problem.detail.contains(hint), "{hint:?} is not in {:?}", problem.detail);
        }
    }
}

/// Returns the host. Its plugins may first have to be compiled.
pub(crate) async fn host() -> Arc<Host> {
    tokio::task::spawn_blocking(|| Arc::clone(&HOST)).await.unwrap()
}

async fn send_with(options: ApiOptions, request: Request<Body>) -> Reply {
    let response = router(host().await, &options).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
    Reply { status: parts.status, headers: parts.headers, body }
}

async fn send(request: Request<Body>) -> Reply {
    send_with(ApiOptions::default(), request).await
}

pub(crate) fn request(method: &str, uri: &str) -> Request<Body> {
    Request::builder().method(method).uri(uri).body(Body::empty()).unwrap()
}

fn request_json(method: &str, uri: &str, body: impl Into<Body>) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(uri)
        .header(header::CONTENT_TYPE, "application/json")
        .body(body.into())
        .unwrap()
}

async fn get(uri: &str) -> Reply {
    send(request("GET", uri)).await
}

async fn delete(uri: &str) -> Reply {
    send(request("DELETE", uri)).await
}

async fn put(uri: &str, body: impl Into<Body>) -> Reply {
    send(request_json("PUT", uri, body)).await
}

async fn post(uri: &str, body: impl Into<Body>) -> Reply {
    send(request_json("POST", uri, body)).await
}
