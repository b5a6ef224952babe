use axum::{body::Body, http::Request};
use haggle_builtin::BUILTIN;
use serde_json::json;

use super::{Reply, delete, get, request, send};
use crate::ProblemKind;

async fn upload(uri: &str, bytes: impl Into<Body>) -> Reply {
    send(Request::put(uri).body(bytes.into()).unwrap()).await
}

#[tokio::test]
async fn a_plugin_is_loaded_swapped_and_rolled_back() {
    let bytes = BUILTIN[0].bytes;
    let uri = "/v1/plugins/api-copy";
    let created = upload(&format!("{uri}?wait=5m"), bytes).await.json(201);
    assert_eq!(created["current"]["generation"], 1);
    assert_eq!(created["load"]["status"], "ready");
    let configured = format!("{uri}?wait=5m&configuration=%7B%7D");
    let same = upload(&configured, bytes).await.json(200);
    assert_eq!(same["current"]["generation"], 1, "the same again changes nothing");
    let other = upload(&configured, BUILTIN[1].bytes).await.json(200);
    assert_eq!(other["current"]["generation"], 3, "numbers are not given again");
    let back = send(request("POST", &format!("{uri}/rollback"))).await.json(200);
    assert_eq!(back["current"]["generation"], 1);
    let list = get("/v1/plugins").await.json(200);
    assert!(list["items"].as_array().unwrap().iter().any(|item| item["name"] == "api-copy"));
    assert_eq!(delete(uri).await.status, 204);
    get(uri).await.is_problem(ProblemKind::NotFound, &["api-copy"]);
}

#[tokio::test]
async fn what_cannot_be_loaded_says_why_and_changes_nothing() {
    let uri = "/v1/plugins/api-broken";
    for bytes in [&b""[..], b"hello", b"\0asm\x01\0\0\0"] {
        upload(uri, bytes).await.is_problem(ProblemKind::Unprocessable, &["api-broken"]);
    }
    let truncated = &BUILTIN[0].bytes[..1000];
    upload(uri, truncated).await.is_problem(ProblemKind::Unprocessable, &["api-broken"]);
    let list = format!("{uri}?configuration=%5B1%5D");
    let reply = upload(&list, BUILTIN[0].bytes).await;
    reply.is_problem(ProblemKind::Invalid, &["configuration", "object"]);
    let view = get(uri).await.json(200);
    assert_eq!((&view["current"], &view["load"]["status"]), (&json!(null), &json!("failed")));
    let listed = get("/v1/plugins").await;
    assert!(!listed.text().contains("api-broken"), "{}", listed.text());
}

#[tokio::test]
async fn a_built_in_plugin_stays() {
    let name = BUILTIN[0].name;
    let reply = delete(&format!("/v1/plugins/{name}")).await;
    reply.is_problem(ProblemKind::Conflict, &[name, "built in"]);
    assert_eq!(get(&format!("/v1/plugins/{name}")).await.json(200)["built_in"], json!(true));
}
