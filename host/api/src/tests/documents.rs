use haggle_builtin::BUILTIN;
use serde_json::{Value, json};

use super::{delete, get, post, put, request, request_json, send};
use crate::ProblemKind;

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().filter_map(|item| item["name"].as_str()).collect()
}

#[tokio::test]
async fn a_service_comes_and_goes() {
    let uri = "/v1/services/doc-web";
    let created = put(uri, r#"{"replica": {"capacity": {"requests_per_second": "2k"}}}"#).await;
    let created = created.json(201);
    assert_eq!(created["name"], "doc-web");
    assert_eq!(created["replica"]["capacity"]["requests_per_second"], 2000.0);
    let updated = r#"{"name": "doc-web", "replica": {"capacity": {"requests_per_second": 5}}, "replicas": {"min": 3}}"#;
    assert_eq!(put(uri, updated).await.json(200)["replicas"]["min"], 3);
    let view = get(uri).await.json(200);
    assert_eq!(view["replica"]["capacity"]["requests_per_second"], 5.0);
    assert_eq!(view["status"]["tier"], "silver");
    assert!(names(&get("/v1/services").await.json(200)).contains(&"doc-web"));
    let gone = delete(uri).await;
    assert_eq!((gone.status.as_u16(), gone.text()), (204, ""));
    get(uri).await.is_problem(ProblemKind::NotFound, &["doc-web"]);
}

#[tokio::test]
async fn dependencies_are_read_back_as_a_graph() {
    for uri in ["/v1/services/doc-a", "/v1/services/doc-b"] {
        put(uri, r#"{"replica": {"capacity": {"requests_per_second": 1}}}"#).await.json(201);
    }
    let uri = "/v1/dependencies/doc-a/doc-b";
    let calls = r#"{"ratios": {"requests_per_second": 2}}"#;
    let document = put(uri, calls).await.json(201);
    assert_eq!(
        document,
        json!({"from": "doc-a", "to": "doc-b", "strength": "mandatory", "ratios": {"requests_per_second": 2.0}})
    );
    let weaker =
        r#"{"to": "doc-b", "strength": "best_effort", "ratios": {"requests_per_second": 2}}"#;
    put(uri, weaker).await.json(200);
    let wrong = r#"{"to": "doc-c", "ratios": {"requests_per_second": 2}}"#;
    put(uri, wrong).await.is_problem(ProblemKind::Invalid, &["`to`", "doc-b", "doc-c"]);
    let graph = get("/v1/graph").await.json(200);
    let edges = graph["dependencies"].as_array().unwrap();
    let edge = edges.iter().find(|edge| edge["from"] == "doc-a").unwrap();
    assert_eq!(edge["strength"], "best_effort");
    assert_eq!(delete(uri).await.status, 204);
    delete(uri).await.is_problem(ProblemKind::NotFound, &["doc-a", "doc-b"]);
}

#[tokio::test]
async fn providers_and_policies() {
    let rack = r#"{"units": [{"id": "big", "resources": {"cpu_cores": 8}, "cost_per_hour": 1}]}"#;
    assert_eq!(put("/v1/providers/doc-rack", rack).await.json(201)["units"][0]["count"], 1);
    put("/v1/providers/doc-rack", rack).await.json(200);
    assert_eq!(get("/v1/providers/doc-rack").await.json(200)["name"], "doc-rack");
    assert!(names(&get("/v1/providers").await.json(200)).contains(&"doc-rack"));
    let empty = r#"{"units": [{"id": "big", "resources": {}, "cost_per_hour": 1}]}"#;
    let reply = put("/v1/providers/doc-rack", empty).await;
    reply.is_problem(ProblemKind::Invalid, &["doc-rack", "big"]);
    assert_eq!(delete("/v1/providers/doc-rack").await.status, 204);

    let with = |role| BUILTIN.iter().find(|builtin| builtin.roles.contains(&role)).unwrap().name;
    let slow = json!({
        "forecasting": {"plugin": with("forecasting")},
        "failure_prediction": {"plugin": with("failure-prediction")},
        "answering": {"plugin": with("answering")},
        "ranking": {"plugin": with("ranking")},
        "tiering": {"plugin": with("tiering")},
        "scaling": {"stabilization": "1h"},
    });
    put("/v1/policies/doc-slow", slow.to_string()).await.json(201);
    let policy = get("/v1/policies/doc-slow").await.json(200);
    assert_eq!(policy["scaling"]["stabilization"], "1h");
    assert!(names(&get("/v1/policies").await.json(200)).contains(&"doc-slow"));
    let reply = put("/v1/policies/doc-slow", r#"{"forecasting": {"levels": [2]}}"#).await;
    reply.is_problem(ProblemKind::Invalid, &["doc-slow", "forecasting.levels"]);
    let wrong = json!({"forecasting": {"plugin": with("ranking")}}).to_string();
    let reply = put("/v1/policies/doc-slow", wrong).await;
    reply.is_problem(ProblemKind::Conflict, &["forecasting.plugin", "role forecasting"]);
}

#[tokio::test]
async fn an_event_comes_and_goes() {
    let service = r#"{"replica": {"capacity": {"requests_per_second": 1}}}"#;
    put("/v1/services/doc-sold", service).await.json(201);
    let uri = "/v1/calendar/doc-sale";
    // Far enough ahead that the host never deletes the event.
    let sale = r#"{"event": "campaign", "services": ["doc-sold"], "times": [{"start": "2300-01-01T00:00:00Z", "duration": "2d"}]}"#;
    put(uri, sale).await.json(201);
    let read = get(uri).await.json(200);
    assert_eq!((&read["name"], &read["times"][0]["duration"]), (&json!("doc-sale"), &json!("2d")));
    put(uri, sale).await.json(200);
    assert!(names(&get("/v1/calendar").await.json(200)).contains(&"doc-sale"));
    let unclear = sale.replace(r#", "duration": "2d""#, "");
    put(uri, unclear).await.is_problem(ProblemKind::Invalid, &["doc-sale", "`duration`", "2300"]);
    let other = sale.replace("campaign", "concert");
    put(uri, other).await.is_problem(ProblemKind::Invalid, &["concert", "campaign"]);
    let nobody = sale.replace("doc-sold", "doc-nobody");
    put(uri, nobody).await.is_problem(ProblemKind::Conflict, &["services", "doc-nobody"]);
    assert_eq!(delete(uri).await.status, 204);
    delete(uri).await.is_problem(ProblemKind::NotFound, &["there is no event doc-sale"]);
}

#[tokio::test]
async fn nothing_is_changed_under_a_condition() {
    let uri = "/v1/services/doc-condition";
    let service = r#"{"replica": {"capacity": {"requests_per_second": 1}}}"#;
    for condition in ["if-match", "if-none-match", "if-unmodified-since"] {
        for method in ["PUT", "DELETE", "POST"] {
            let mut request = request_json(method, uri, service);
            request.headers_mut().insert(condition, "\"1\"".parse().unwrap());
            let refused = send(request).await;
            refused.is_problem(ProblemKind::PreconditionFailed, &[condition, "leave it out"]);
        }
    }
    get(uri).await.is_problem(ProblemKind::NotFound, &["doc-condition"]);
    put(uri, service).await.json(201);
    let mut read = request("GET", uri);
    read.headers_mut().insert("if-none-match", "\"1\"".parse().unwrap());
    send(read).await.json(200);
}

#[tokio::test]
async fn a_body_that_is_encoded_or_a_part_is_refused() {
    let uri = "/v1/services/doc-encoded";
    let service = r#"{"replica": {"capacity": {"requests_per_second": 1}}}"#;
    let mut encoded = request_json("PUT", uri, service);
    encoded.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    let refused = send(encoded).await;
    refused.is_problem(ProblemKind::UnsupportedMediaType, &["Content-Encoding"]);
    let mut part = request_json("PUT", uri, service);
    part.headers_mut().insert("content-range", "bytes 0-9/90".parse().unwrap());
    send(part).await.is_problem(ProblemKind::Invalid, &["Content-Range"]);
    get(uri).await.is_problem(ProblemKind::NotFound, &["doc-encoded"]);
}

#[tokio::test]
async fn a_value_of_another_type_is_named_although_the_parser_takes_it_for_no_json() {
    let tier = r#"{"replica": {"capacity": {"requests_per_second": 1}}, "tier": null}"#;
    let refused = put("/v1/services/doc-tier", tier).await;
    refused.is_problem(ProblemKind::Invalid, &["in the body: `tier`"]);
}

#[tokio::test]
async fn samples_are_taken_together_or_not_at_all() {
    let service = r#"{"replica": {"capacity": {"requests_per_second": 1}}}"#;
    put("/v1/services/doc-fed", service).await.json(201);
    let taken = post("/v1/samples", r#"{"samples": [{"service": "doc-fed", "value": 7}]}"#).await;
    assert_eq!(taken.json(202), json!({"stored": 1, "stale": 0, "ahead": 0}));
    assert_eq!(get("/v1/services/doc-fed").await.json(200)["status"]["observed"], 7.0);
    let half = r#"{"samples": [{"service": "doc-fed", "value": 9}, {"service": "doc-unfed", "value": 1}]}"#;
    post("/v1/samples", half).await.is_problem(ProblemKind::NotFound, &["sample 1", "doc-unfed"]);
    assert_eq!(get("/v1/services/doc-fed").await.json(200)["status"]["observed"], 7.0);
    let failures = r#"{"failures": [{"service": "doc-fed"}, {"service": "doc-fed", "time": "1970-01-01T00:00:00Z"}]}"#;
    let taken = post("/v1/samples", failures).await;
    let taken = taken.json(202);
    assert_eq!(
        (&taken["stored"], &taken["stale"], &taken["ahead"]),
        (&json!(1), &json!(1), &json!(0))
    );
    let left_out = &taken["left_out"][0];
    assert_eq!((&left_out["item"], &left_out["index"]), (&json!("failure"), &json!(1)));
    assert!(left_out["reason"].as_str().unwrap().contains("before the host's clock"), "{left_out}");
    let control =
        r#"{"failures": [{"service": "doc-fed"}, {"service": "doc-fed", "instance": "a\u001bb"}]}"#;
    let refused = post("/v1/samples", control).await;
    refused.is_problem(ProblemKind::Invalid, &["failure 1", "instance", "control character"]);
    get("/v1/forecasts/doc-fed").await.is_problem(ProblemKind::NotFound, &["no forecast yet"]);
}

#[tokio::test]
async fn what_was_decided_is_listed_page_by_page() {
    let units = r#"{"location": "doc", "units": [{"id": "u", "count": 9, "resources": {"cpu_cores": 1}, "cost_per_hour": 1}]}"#;
    put("/v1/providers/doc-grow", units).await.json(201);
    let service = r#"{"replica": {"requests": {"cpu_cores": 1}, "capacity": {"requests_per_second": 1}}, "location": "doc"}"#;
    put("/v1/services/doc-grow", service).await.json(201);
    for body in [
        r#"{"service": "doc-grow", "replicas": 3}"#,
        r#"{"service": "doc-grow", "replicas": 5}"#,
        r#"{"service": "doc-grow", "replicas": 8}"#,
    ] {
        let verdict = post("/v1/scaling-requests", body).await.json(200);
        assert_eq!(verdict["verdict"], "approved", "{verdict}");
        let id = verdict["negotiation"].as_str().unwrap();
        get(&format!("/v1/negotiations/{id}")).await.json(200);
    }
    let mut seen = Vec::new();
    let mut after = 0;
    loop {
        let page = get(&format!("/v1/decisions?after={after}&limit=1")).await.json(200);
        let items = page["items"].as_array().unwrap();
        let next = page["next"].as_u64().unwrap();
        let Some(item) = items.first() else {
            assert_eq!(next, after);
            break;
        };
        assert_eq!((items.len(), item["sequence"].as_u64()), (1, Some(next)));
        assert!(next > after);
        after = next;
        if item["service"] == "doc-grow" {
            seen.push(item["to"].as_u64().unwrap());
        }
    }
    assert_eq!(seen, [3, 5, 8]);
    let leases = get("/v1/leases").await.json(200);
    assert!(leases["items"].as_array().unwrap().iter().any(|lease| lease["holder"] == "doc-grow"));

    let unclear = post("/v1/scaling-requests", r#"{"service": "doc-grow"}"#).await;
    unclear.is_problem(ProblemKind::Invalid, &["replicas", "load"]);
    let unknown = post("/v1/scaling-requests", r#"{"service": "doc-none", "replicas": 2}"#).await;
    unknown.is_problem(ProblemKind::NotFound, &["doc-none"]);
}

#[tokio::test]
async fn the_host_tells_how_it_is() {
    for (uri, content_type, word) in [
        ("/", "text/plain; charset=utf-8", "/openapi.json"),
        ("/healthz", "text/plain; charset=utf-8", "ok"),
        ("/readyz", "text/plain; charset=utf-8", "ok"),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8", "# TYPE"),
    ] {
        let reply = get(uri).await;
        assert_eq!(reply.status, 200, "{uri}");
        assert_eq!(reply.headers["content-type"], content_type, "{uri}");
        assert!(reply.text().contains(word), "{uri}: {}", reply.text());
    }
    let mut open = request("GET", "/metrics");
    let accepted = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
    open.headers_mut().insert("accept", accepted.parse().unwrap());
    let reply = send(open).await;
    let kind = reply.headers["content-type"].to_str().unwrap();
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
    assert!(reply.text().ends_with("# EOF\n"));
}
