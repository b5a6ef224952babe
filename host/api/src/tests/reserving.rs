use serde_json::{Value, json};

use super::{delete, get, post, put, request_json, send};
use crate::ProblemKind;

/// Far enough ahead that no test reaches it, and near enough to be reserved.
fn tomorrow(hours: u64) -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    (now.as_secs() + (24 + hours) * 3600) * 1000
}

/// Creates a service with its own provider.
async fn describe(name: &str) {
    let units = format!(
        r#"{{"location": "{name}", "units": [{{"id": "u", "count": 9, "resources": {{"cpu_cores": 1}}, "cost_per_hour": 1}}]}}"#
    );
    put(&format!("/v1/providers/{name}"), units).await.json(201);
    let service = format!(
        r#"{{"replica": {{"requests": {{"cpu_cores": 1}}, "capacity": {{"requests_per_second": 1}}}}, "location": "{name}"}}"#
    );
    put(&format!("/v1/services/{name}"), service).await.json(201);
}

async fn reservations(service: &str) -> Vec<Value> {
    let list = get(&format!("/v1/reservations?service={service}")).await.json(200);
    list["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_reservation_is_listed_changed_and_cancelled() {
    describe("later-web").await;
    assert_eq!(reservations("later-web").await, [] as [Value; 0]);
    let ask =
        json!({"service": "later-web", "replicas": 4, "start": tomorrow(0), "duration": "1h"});
    let verdict = post("/v1/scaling-requests", ask.to_string()).await.json(200);
    assert_eq!(verdict["verdict"], "approved", "{verdict}");
    let id = verdict["negotiation"].as_str().unwrap();
    let listed = reservations("later-web").await;
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0]["request"], &listed[0]["replicas"]), (&json!(id), &json!(4)));
    assert_eq!((&listed[0]["window_number"], &listed[0]["active"]), (&json!(0), &json!(false)));

    let window = format!("/v1/scaling-requests/{id}/window");
    let longer = json!({"start": tomorrow(0), "duration": "3h", "replicas": 6});
    let verdict = put(&window, longer.to_string()).await.json(200);
    assert_eq!((&verdict["verdict"], &verdict["to"]), (&json!("approved"), &json!(6)), "{verdict}");
    assert_eq!(verdict["negotiation"], id, "it keeps its id");
    let changed = reservations("later-web").await;
    assert_eq!((changed.len(), &changed[0]["replicas"]), (1, &json!(6)));
    assert!(changed[0]["window"]["end"] != listed[0]["window"]["end"]);

    let open = json!({"start": tomorrow(0), "replicas": 6}).to_string();
    put(&window, open).await.is_problem(ProblemKind::Conflict, &[id, "`end` or `duration`"]);
    let unclear = json!({"start": tomorrow(0), "duration": "1h"}).to_string();
    put(&window, unclear).await.is_problem(ProblemKind::Invalid, &["`replicas` or `load`"]);
    let elsewhere = put("/v1/scaling-requests/none/window", longer.to_string()).await;
    elsewhere.is_problem(ProblemKind::NotFound, &["scaling request none"]);
    let all = get("/v1/reservations").await.json(200);
    assert!(all["items"].as_array().unwrap().iter().any(|one| one["request"] == id));

    for _ in 0..2 {
        assert_eq!(delete(&format!("/v1/scaling-requests/{id}")).await.status, 204);
        assert_eq!(reservations("later-web").await, [] as [Value; 0]);
    }
    let unknown = get("/v1/reservations?service=later-none").await;
    unknown.is_problem(ProblemKind::NotFound, &["later-none"]);
    let typo = get("/v1/reservations?servce=later-web").await;
    typo.is_problem(ProblemKind::Invalid, &["servce", "service"]);
}

#[tokio::test]
async fn who_does_not_wait_is_told_where_to_look() {
    describe("later-async").await;
    let ask = r#"{"service": "later-async", "replicas": 2}"#;
    let mut request = request_json("POST", "/v1/scaling-requests", ask);
    request.headers_mut().insert("prefer", "respond-async".parse().unwrap());
    let accepted = send(request).await;
    let location = accepted.headers["location"].to_str().unwrap().to_owned();
    let id = accepted.json(202)["negotiation"].as_str().unwrap().to_owned();
    assert_eq!(location, format!("/v1/scaling-requests/{id}"));
    let progress = get(&location).await.json(200);
    assert_eq!(progress["negotiation"], json!(id));
    let none = get("/v1/scaling-requests/none").await;
    none.is_problem(ProblemKind::NotFound, &["scaling request none"]);
}
