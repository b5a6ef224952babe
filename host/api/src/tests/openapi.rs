use std::collections::BTreeSet;

use serde_json::Value;

use super::{get, request, send};

/// The routes, ordered by path.
const ROUTES: [(&str, &[&str]); 34] = [
    ("/", &["get"]),
    ("/healthz", &["get"]),
    ("/livez", &["get"]),
    ("/metrics", &["get"]),
    ("/openapi.json", &["get"]),
    ("/readyz", &["get"]),
    ("/v1/calendar", &["get"]),
    ("/v1/calendar/{name}", &["delete", "get", "put"]),
    ("/v1/decisions", &["get"]),
    ("/v1/dependencies/{from}/{to}", &["delete", "put"]),
    ("/v1/events", &["get"]),
    ("/v1/forecasts", &["get"]),
    ("/v1/forecasts/{service}", &["get"]),
    ("/v1/graph", &["get"]),
    ("/v1/leases", &["get"]),
    ("/v1/negotiations/{id}", &["get"]),
    ("/v1/negotiations/{id}/messages", &["post"]),
    ("/v1/plugins", &["get"]),
    ("/v1/plugins/{name}", &["delete", "get", "put"]),
    ("/v1/plugins/{name}/rollback", &["post"]),
    ("/v1/policies", &["get"]),
    ("/v1/policies/{name}", &["get", "put"]),
    ("/v1/providers", &["get"]),
    ("/v1/providers/{name}", &["delete", "get", "put"]),
    ("/v1/providers/{name}/reclaims", &["post"]),
    ("/v1/providers/{name}/reclaims/{unit}", &["delete"]),
    ("/v1/reservations", &["get"]),
    ("/v1/samples", &["post"]),
    ("/v1/scaling-requests", &["post"]),
    ("/v1/scaling-requests/{id}", &["delete", "get"]),
    ("/v1/scaling-requests/{id}/window", &["put"]),
    ("/v1/services", &["get"]),
    ("/v1/services/{name}", &["delete", "get", "put"]),
    ("/v1/services/{name}/replicas", &["get"]),
];

#[tokio::test]
async fn lists_every_route_and_only_those() {
    let description = get("/openapi.json").await.json(200);
    let listed: Vec<(String, Vec<String>)> = description["paths"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(path, item)| (path.clone(), item.as_object().unwrap().keys().cloned().collect()))
        .collect();
    let expected: Vec<(String, Vec<String>)> = ROUTES
        .iter()
        .map(|(path, methods)| {
            ((*path).to_owned(), methods.iter().map(|m| (*m).to_owned()).collect())
        })
        .collect();
    assert_eq!(listed, expected);
    for (path, methods) in ROUTES {
        let uri = path.replace(['{', '}'], "");
        // No route has this method, so the request probes the path without side effects.
        let reply = send(request("TRACE", &uri)).await;
        assert_eq!(reply.status, 405, "{path}");
        let allowed = reply.headers["allow"].to_str().unwrap().to_ascii_lowercase();
        let allowed: BTreeSet<&str> = allowed.split(',').filter(|m| *m != "head").collect();
        assert_eq!(allowed, methods.iter().copied().collect(), "{path}");
    }
}

#[tokio::test]
async fn describes_every_operation() {
    let description = get("/openapi.json").await.json(200);
    let mut ids = BTreeSet::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let place = format!("{method} {path}");
            assert!(operation["summary"].is_string(), "{place}");
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{place}");
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with('2')), "{place}");
            assert_eq!(
                path.starts_with("/v1"),
                responses.contains_key("500"),
                "{place} declares its problems"
            );
            let declared = operation["parameters"].as_array().map_or(0, |parameters| {
                parameters.iter().filter(|parameter| parameter["in"] == "path").count()
            });
            assert_eq!(declared, path.matches('{').count(), "{place}");
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(parameter["description"].is_string(), "{place}: {}", parameter["name"]);
            }
            let takes_body =
                ["put", "post"].contains(&method.as_str()) && !path.ends_with("rollback");
            assert_eq!(operation["requestBody"].is_object(), takes_body, "{place}");
        }
    }
}

#[tokio::test]
async fn refers_only_to_what_it_defines() {
    fn check(description: &Value, value: &Value) {
        match value {
            Value::Object(fields) => {
                if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                    let pointer = reference.strip_prefix('#').unwrap();
                    assert!(description.pointer(pointer).is_some(), "{reference}");
                }
                fields.values().for_each(|inner| check(description, inner));
            }
            Value::Array(items) => items.iter().for_each(|inner| check(description, inner)),
            _ => {}
        }
    }
    let description = get("/openapi.json").await.json(200);
    check(&description, &description);
}

#[tokio::test]
async fn the_bounds_of_a_service_are_described() {
    let description = get("/openapi.json").await.json(200);
    let schemas = &description["components"]["schemas"];
    let bounds = &schemas["Service"]["properties"]["replicas"];
    let bounds = bounds["$ref"].as_str().or_else(|| bounds["allOf"][0]["$ref"].as_str()).unwrap();
    let bounds = &schemas[bounds.rsplit('/').next().unwrap()]["properties"];
    assert!(bounds["min"].is_object() && bounds["max"].is_object(), "{bounds}");
}
