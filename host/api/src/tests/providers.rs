use serde_json::json;

use super::{delete, get, post, put};
use crate::ProblemKind;

#[tokio::test]
async fn what_is_taken_back_is_a_status_until_it_is_given_back() {
    let rack = r#"{"units": [{"id": "big", "count": 5, "resources": {"cpu_cores": 8}, "cost_per_hour": 1}, {"id": "small", "resources": {"cpu_cores": 1}, "cost_per_hour": 1}]}"#;
    let uri = "/v1/providers/taken-rack";
    put(uri, rack).await.json(201);
    let reclaims = format!("{uri}/reclaims");
    let now = post(&reclaims, r#"{"unit": "big", "count": 2, "at": 1000}"#).await.json(200);
    assert_eq!((&now["count"], &now["total"]), (&json!(2), &json!(2)));
    let later = r#"{"unit": "big", "count": 1, "at": "2035-01-01T00:00:00Z"}"#;
    assert_eq!(post(&reclaims, later).await.json(200)["total"], 3);
    let view = get(uri).await.json(200);
    assert_eq!(view["units"][0]["count"], 5, "the description stays");
    let big = &view["status"]["units"][0];
    assert_eq!(
        (&big["unit"], &big["count"], &big["available"]),
        (&json!("big"), &json!(5), &json!(3))
    );
    assert_eq!(big["reclaims"][1], json!({"count": 1, "at": "2035-01-01T00:00:00Z"}));
    let small = json!({"unit": "small", "count": 1, "available": 1, "reclaims": []});
    assert_eq!(view["status"]["units"][1], small);
    let more = post(&reclaims, r#"{"unit": "big", "count": 3}"#).await;
    more.is_problem(ProblemKind::Invalid, &["3 are announced", "from 1 to 2"]);
    for _ in 0..2 {
        assert_eq!(delete(&format!("{reclaims}/big")).await.status, 204);
        let view = get(uri).await.json(200);
        let big = json!({"unit": "big", "count": 5, "available": 5, "reclaims": []});
        assert_eq!(view["status"]["units"][0], big);
    }
    let reply = delete(&format!("{reclaims}/none")).await;
    reply.is_problem(ProblemKind::NotFound, &["unit none"]);
    let reply = delete("/v1/providers/taken-none/reclaims/big").await;
    reply.is_problem(ProblemKind::NotFound, &["provider taken-none"]);
}

#[tokio::test]
async fn no_answer_tells_the_secrets_of_an_endpoint() {
    let endpoint = "http://user:hunter2@a.example/bid?token=s3cr3t";
    let provider = json!({
        "endpoint": endpoint,
        "units": [{"id": "u", "resources": {"cpu_cores": 1}, "cost_per_hour": 1}],
    });
    let service = json!({
        "endpoint": endpoint,
        "replica": {"capacity": {"requests_per_second": 1}},
    });
    let documents = [("providers", provider), ("services", service)];
    for (kind, document) in documents {
        let uri = format!("/v1/{kind}/secretive");
        let replies = [
            put(&uri, document.to_string()).await,
            put(&uri, document.to_string()).await,
            get(&uri).await,
            get(&format!("/v1/{kind}")).await,
        ];
        for reply in &replies {
            assert!(reply.status.is_success(), "{}", reply.text());
            assert!(reply.text().contains("http://***@a.example/bid?***"), "{}", reply.text());
            for secret in ["user", "hunter2", "s3cr3t"] {
                assert!(!reply.text().contains(secret), "{}", reply.text());
            }
        }
        // A client that writes back what it has read does not overwrite the secrets.
        let mut read = document.clone();
        read["endpoint"] = replies[0].json(201)["endpoint"].clone();
        put(&uri, read.to_string()).await.is_problem(ProblemKind::Invalid, &["endpoint"]);
        assert_eq!(delete(&uri).await.status, 204);
    }
}

#[tokio::test]
async fn an_endpoint_that_no_party_has_is_refused_when_it_is_described() {
    let units = json!([{"id": "u", "resources": {"cpu_cores": 1}, "cost_per_hour": 1}]);
    for (host, says) in [
        ("169.254.169.254", "metadata service"),
        ("[::ffff:169.254.169.254]", "metadata service"),
        ("169.254.7.7:8080", "link-local"),
        ("[fe80::1]", "link-local"),
        ("0.0.0.0:1", "no address of a party"),
        ("224.0.0.1", "multicast"),
    ] {
        let endpoint = format!("http://{host}/x");
        let provider = json!({"endpoint": endpoint, "units": units});
        let refused = put("/v1/providers/nowhere", provider.to_string()).await;
        refused.is_problem(ProblemKind::Invalid, &["provider nowhere: `endpoint`", says]);
        let service = json!({
            "endpoint": endpoint,
            "replica": {"capacity": {"requests_per_second": 1}},
        });
        let refused = put("/v1/services/nowhere", service.to_string()).await;
        refused.is_problem(ProblemKind::Invalid, &["service nowhere: `endpoint`", says]);
    }
    get("/v1/services/nowhere").await.is_problem(ProblemKind::NotFound, &["nowhere"]);
}

#[tokio::test]
async fn a_reclaim_of_what_is_not_there_names_what_is() {
    let units = json!({"units": [
        {"id": "large", "resources": {"cpu_cores": 4}, "cost_per_hour": 4},
        {"id": "small", "resources": {"cpu_cores": 1}, "cost_per_hour": 1},
    ]});
    put("/v1/providers/reclaimed", units.to_string()).await.json(201);
    let hints = &["provider reclaimed has no unit medium: it has large, small"];
    let refused = post("/v1/providers/reclaimed/reclaims", r#"{"unit": "medium", "count": 1}"#);
    refused.await.is_problem(ProblemKind::NotFound, hints);
    let refused = delete("/v1/providers/reclaimed/reclaims/medium").await;
    refused.is_problem(ProblemKind::NotFound, hints);
    let refused = post("/v1/providers/no-such/reclaims", r#"{"unit": "medium", "count": 1}"#);
    refused.await.is_problem(ProblemKind::NotFound, &["provider no-such"]);
}

#[tokio::test]
async fn the_replicas_of_a_service_are_listed() {
    let service = r#"{"replica": {"requests": {"cpu_cores": 1}, "capacity": {"requests_per_second": 1}}, "replicas": {"min": 2}}"#;
    put("/v1/services/listed", service).await.json(201);
    let replicas = get("/v1/services/listed/replicas").await.json(200);
    let replicas = replicas["items"].as_array().unwrap();
    assert_eq!(replicas.len(), 2);
    assert_eq!(replicas[1]["resources"], json!({"cpu_cores": 1.0}));
    assert!(replicas[0]["id"] != replicas[1]["id"]);
    get("/v1/services/unlisted/replicas").await.is_problem(ProblemKind::NotFound, &["unlisted"]);
}
