use axum::{
    body::Body,
    http::{Request, header},
    response::IntoResponse,
};
use haggle_runtime::ErrorKind;

use super::{delete, get, post, put, request, request_json, send, send_with};
use crate::{ApiOptions, Problem, ProblemKind, body::JSON_BYTES};

const SERVICE: &str = r#"{"replica": {"capacity": {"requests_per_second": 100}}}"#;

#[test]
fn every_kind_of_error_has_its_status() {
    for (kind, status) in [
        (ErrorKind::NotFound, 404),
        (ErrorKind::Invalid, 400),
        (ErrorKind::Conflict, 409),
        (ErrorKind::TooLarge, 413),
        (ErrorKind::Unprocessable, 422),
        (ErrorKind::Busy, 503),
        (ErrorKind::Stopping, 503),
        (ErrorKind::Internal, 500),
    ] {
        assert_eq!(ProblemKind::from(kind).status(), status);
    }
    for kind in ProblemKind::ALL {
        let response = Problem::new(kind, "").into_response();
        let retry = response.headers().contains_key(header::RETRY_AFTER);
        assert_eq!(retry, kind.status() == 503, "{kind:?}");
    }
}

#[tokio::test]
async fn unknown_routes_and_methods() {
    for uri in ["/v1", "/v1/service", "/v1/services/", "/v1/services/a/b", "/favicon.ico"] {
        get(uri).await.is_problem(ProblemKind::NotFound, &[uri, "/openapi.json"]);
    }
    let reply = send(request("POST", "/v1/graph")).await;
    reply.is_problem(ProblemKind::MethodNotAllowed, &["/v1/graph", "POST", "use one of GET, HEAD"]);
    assert_eq!(reply.headers[header::ALLOW], "GET,HEAD");
    let reply = send(request("PATCH", "/v1/plugins/some")).await;
    reply.is_problem(ProblemKind::MethodNotAllowed, &["PATCH"]);
    let allowed = reply.headers[header::ALLOW].to_str().unwrap();
    for method in ["GET", "PUT", "DELETE"] {
        assert!(allowed.contains(method), "{allowed}");
    }
}

#[tokio::test]
async fn what_is_not_there() {
    for uri in ["/v1/services/no", "/v1/providers/no", "/v1/policies/no", "/v1/plugins/no"] {
        get(uri).await.is_problem(ProblemKind::NotFound, &["no"]);
    }
    get("/v1/forecasts/no").await.is_problem(ProblemKind::NotFound, &["service no"]);
    for uri in ["/v1/services/No", "/v1/providers/-", "/v1/calendar/a_b", "/v1/dependencies/a/B"] {
        delete(uri).await.is_problem(ProblemKind::NotFound, &["is not a name", "63"]);
        put(uri, "{}").await.is_problem(ProblemKind::Invalid, &["is not a name", "63"]);
    }
    get("/v1/services/No").await.is_problem(ProblemKind::NotFound, &["is not a name"]);
    let long = "x".repeat(5000);
    for place in ["negotiations", "scaling-requests"] {
        let uri = format!("/v1/{place}/{long}");
        let reply = get(&uri).await;
        reply.is_problem(ProblemKind::NotFound, &["there is no", "…"]);
        assert!(reply.body.len() < 500, "{}", reply.text());
    }
    let uri = format!("/v1/scaling-requests/{long}");
    delete(&uri).await.is_problem(ProblemKind::NotFound, &["there is no"]);
    get("/v1/negotiations/no").await.is_problem(ProblemKind::NotFound, &["negotiation no"]);
    for uri in ["/v1/services/no", "/v1/providers/no", "/v1/plugins/no", "/v1/dependencies/no/no"] {
        delete(uri).await.is_problem(ProblemKind::NotFound, &["no"]);
    }
    let reply = send(request("POST", "/v1/plugins/no/rollback")).await;
    reply.is_problem(ProblemKind::NotFound, &["no"]);
}

#[tokio::test]
async fn bad_names_in_the_path() {
    get("/v1/services/Check_out")
        .await
        .is_problem(ProblemKind::NotFound, &["Check_out", "lower-case"]);
    put("/v1/dependencies/a/B", "{}").await.is_problem(ProblemKind::Invalid, &["\"B\""]);
    get("/v1/services/%ff").await.is_problem(ProblemKind::NotFound, &["path"]);
}

#[tokio::test]
async fn bad_bodies_say_where() {
    let uri = "/v1/services/bad-body";
    let reply = put(uri, "{\n  \"replica\": }").await;
    reply.is_problem(ProblemKind::Invalid, &["not JSON", "line 2, column 14"]);
    let reply = put(uri, "{\n  \"replica\": {\"capacity\": {\"requests_per_second\": -1}}}").await;
    reply.is_problem(ProblemKind::Invalid, &["`replica.capacity", "line 2"]);
    let reply = put(uri, r#"{"replcas": {}}"#).await;
    reply.is_problem(ProblemKind::Invalid, &["replcas", "replicas", "line 1, column 10"]);
    let reply = put(uri, r#"{"name": "another", "replica": {"capacity": {}}}"#).await;
    reply.is_problem(ProblemKind::Invalid, &["bad-body", "another", "leave"]);
    let reply = put(uri, r#"{"replica": {"capacity": {}}}"#).await;
    reply.is_problem(ProblemKind::Invalid, &["bad-body", "replica.capacity"]);
    post("/v1/samples", "").await.is_problem(ProblemKind::Invalid, &["not JSON"]);
    get(uri).await.is_problem(ProblemKind::NotFound, &[]);
}

#[tokio::test]
async fn bodies_must_say_that_they_are_json() {
    for content_type in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
        let builder = Request::put("/v1/services/media");
        let builder = content_type
            .into_iter()
            .fold(builder, |builder, value| builder.header(header::CONTENT_TYPE, value));
        let reply = send(builder.body(SERVICE.into()).unwrap()).await;
        reply.is_problem(ProblemKind::UnsupportedMediaType, &["Content-Type: application/json"]);
    }
    let request = Request::put("/v1/services/media")
        .header(header::CONTENT_TYPE, "application/JSON; charset=utf-8")
        .body(SERVICE.into())
        .unwrap();
    send(request).await.json(201);
}

#[tokio::test]
async fn unknown_parameters() {
    for uri in [
        "/v1/services?limit=3",
        "/v1/leases?active=true",
        "/v1/graph?x",
        "/v1/policies/default?verbose=1",
    ] {
        get(uri).await.is_problem(ProblemKind::Invalid, &["query", "no parameters"]);
    }
    for (uri, hints) in [
        ("/v1/decisions?aftr=1", ["aftr", "after"]),
        (
            "/v1/decisions?after=-1",
            ["after", "\"-1\" is not a whole number from 0 to 18446744073709551615"],
        ),
        ("/v1/decisions?after=1e3", ["after", "\"1e3\" is not a whole number from 0"]),
        ("/v1/decisions?limit=0", ["limit", "\"0\" is not a whole number from 1 to 1000"]),
        ("/v1/decisions?limit=1001", ["limit", "1000"]),
        (
            "/v1/decisions?limit=%1B%E2%80%AE",
            ["limit", "\"\\u{1b}\\u{202e}\" is not a whole number"],
        ),
    ] {
        get(uri).await.is_problem(ProblemKind::Invalid, &hints);
    }
    let reply = send(request("PUT", "/v1/plugins/some?wait=soon")).await;
    reply.is_problem(ProblemKind::Invalid, &["wait", "soon", "90s"]);
    let reply = send(request("PUT", "/v1/plugins/some?wait=1h")).await;
    reply.is_problem(ProblemKind::Invalid, &["1h", "5m"]);
    let reply = send(request("PUT", "/v1/plugins/some?configuration=%7B%22a%22:")).await;
    reply.is_problem(ProblemKind::Invalid, &["configuration", "line 1"]);
}

#[tokio::test]
async fn bodies_that_are_too_large() {
    let document = vec![b' '; JSON_BYTES + 1];
    let reply = send(request_json("PUT", "/v1/services/large", document)).await;
    reply.is_problem(ProblemKind::TooLarge, &["2097152"]);

    let options = || ApiOptions { upload_bytes: 1000, ..ApiOptions::default() };
    let announced = Request::put("/v1/plugins/large")
        .header(header::CONTENT_LENGTH, 1001)
        .body(Body::from(vec![0; 1001]))
        .unwrap();
    send_with(options(), announced).await.is_problem(ProblemKind::TooLarge, &["1000"]);

    let chunks = std::iter::repeat_n(vec![0; 100], 11).map(Ok::<_, std::io::Error>);
    let streamed = Body::from_stream(tokio_stream::iter(chunks));
    let reply =
        send_with(options(), Request::put("/v1/plugins/large").body(streamed).unwrap()).await;
    reply.is_problem(ProblemKind::TooLarge, &["1000"]);
}

#[tokio::test]
async fn a_body_that_breaks_off() {
    let chunks = [Ok(b"{".to_vec()), Err(std::io::Error::other("gone"))];
    let body = Body::from_stream(tokio_stream::iter(chunks));
    let reply = send(request_json("PUT", "/v1/services/broken", body)).await;
    reply.is_problem(ProblemKind::Invalid, &["broke off"]);
}

#[tokio::test]
async fn what_is_in_the_way() {
    for uri in ["/v1/services/way-a", "/v1/services/way-b"] {
        put(uri, SERVICE).await.json(201);
    }
    let calls = r#"{"ratios": {"requests_per_second": 1}}"#;
    let reply = put("/v1/dependencies/way-a/way-none", calls).await;
    reply.is_problem(ProblemKind::Conflict, &["way-none"]);
    put("/v1/dependencies/way-a/way-b", calls).await.json(201);
    delete("/v1/services/way-b").await.is_problem(ProblemKind::Conflict, &["way-a -> way-b"]);
    let reply = put("/v1/policies/way", r#"{"forecasting": {"plugin": "way-none"}}"#).await;
    reply.is_problem(ProblemKind::Conflict, &["forecasting.plugin", "way-none"]);
}
