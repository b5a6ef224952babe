//! Parties that do not answer, or not in time, and hosts that are killed meanwhile.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    party::{Party, agreeable, courteous},
    server::{Server, eventually},
};

/// Nobody listens on port 9.
const NOBODY: &str = "http://127.0.0.1:9/";

fn ask(server: &Server, service: &str, deadline: &str) -> Value {
    let request = json!({"service": service, "replicas": 4, "deadline": deadline});
    server.post("/v1/scaling-requests", &request).is(200)
}

#[test]
fn who_can_be_done_without_and_is_silent_denies_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let mute = Party::start(|_| None);
    let replica = json!({"capacity": {"requests_per_second": 10}});
    server.put("/v1/services/web", &json!({"replica": replica})).is(201);
    let silent = json!({"replica": replica, "endpoint": mute.endpoint});
    server.put("/v1/services/ads", &silent).is(201);
    server.put("/v1/services/log", &silent).is(201);
    let edge = |strength: &str| json!({"strength": strength, "ratios": {"requests_per_second": 1}});
    server.put("/v1/dependencies/web/ads", &edge("optional")).is(201);
    server.put("/v1/dependencies/web/log", &edge("best_effort")).is(201);
    let verdict = ask(&server, "web", "4s");
    assert_eq!((&verdict["verdict"], &verdict["to"]), (&json!("approved"), &json!(4)), "{verdict}");
    assert_eq!(verdict["agreement"]["without_optional"][0]["to"], "ads", "{verdict}");

    let units = json!([{"id": "m", "count": 4, "resources": {"cpu_cores": 4}, "cost_per_hour": 1}]);
    server.put("/v1/providers/good", &json!({"units": units})).is(201);
    server.put("/v1/providers/mute", &json!({"units": units, "endpoint": NOBODY})).is(201);
    let replica = json!({"requests": {"cpu_cores": 1}, "capacity": {"requests_per_second": 10}});
    server.put("/v1/services/job", &json!({"replica": replica})).is(201);
    let verdict = ask(&server, "job", "4s");
    assert_eq!((&verdict["verdict"], &verdict["to"]), (&json!("approved"), &json!(4)), "{verdict}");
}

#[test]
fn who_keeps_the_line_open_and_says_nothing_keeps_nobody_else_from_answering() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let stuck = Party::start(|_| {
        std::thread::sleep(Duration::from_secs(30));
        None
    });
    let cart = Party::start(agreeable);
    let replica = json!({"capacity": {"requests_per_second": 10}});
    server.put("/v1/services/web", &json!({"replica": replica})).is(201);
    let ratios = json!({"requests_per_second": 1});
    for n in 0..4 {
        let elsewhere = json!({"replica": replica, "endpoint": stuck.endpoint});
        server.put(&format!("/v1/services/ads{n}"), &elsewhere).is(201);
        let edge = json!({"strength": "optional", "ratios": ratios});
        server.put(&format!("/v1/dependencies/web/ads{n}"), &edge).is(201);
    }
    let elsewhere = json!({"replica": replica, "endpoint": cart.endpoint});
    server.put("/v1/services/cart", &elsewhere).is(201);
    server.put("/v1/dependencies/web/cart", &json!({"ratios": ratios})).is(201);
    let verdict = ask(&server, "web", "6s");
    assert_eq!((&verdict["verdict"], &verdict["to"]), (&json!("approved"), &json!(4)), "{verdict}");
}

#[test]
fn who_cannot_be_done_without_may_take_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let cart = Party::start(|message| {
        (message["type"] != "call_for_proposals").then(|| courteous(message["type"].as_str()?))?
    });
    let replica = json!({"capacity": {"requests_per_second": 10}});
    server.put("/v1/services/web", &json!({"replica": replica})).is(201);
    let elsewhere = json!({"replica": replica, "endpoint": cart.endpoint});
    server.put("/v1/services/cart", &elsewhere).is(201);
    let edge = json!({"ratios": {"requests_per_second": 1}});
    server.put("/v1/dependencies/web/cart", &edge).is(201);
    let request = json!({"service": "web", "replicas": 4, "deadline": "60s"});
    let begun = server.post_async("/v1/scaling-requests", &request).is(202);
    let id = begun["negotiation"].as_str().unwrap().to_owned();
    let began = Instant::now();
    let call = eventually("a call", || {
        cart.heard.lock().unwrap().first().cloned().ok_or_else(|| json!("nothing"))
    });
    // Wait for longer than six attempts with growing pauses take.
    std::thread::sleep(Duration::from_secs(14).saturating_sub(began.elapsed()));
    let yes = json!({"in_reply_to": call["message"], "from": {"service": "cart"}, "type": "propose", "data": "all"});
    assert_eq!(server.post(&format!("/v1/negotiations/{id}/messages"), &yes).status, 202);
    let verdict = eventually("a verdict", || {
        let progress = server.get(&format!("/v1/scaling-requests/{id}")).is(200);
        if progress["pending"] == false { Ok(progress["verdict"].clone()) } else { Err(progress) }
    });
    assert_eq!(verdict["verdict"], "approved", "{verdict}");
}

#[test]
fn a_request_that_was_taken_is_not_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mute = Party::start(|_| None);
    let mut server = Server::start(&data);
    let replica = json!({"capacity": {"requests_per_second": 10}});
    server.put("/v1/services/web", &json!({"replica": replica})).is(201);
    let elsewhere = json!({"replica": replica, "endpoint": mute.endpoint});
    server.put("/v1/services/cart", &elsewhere).is(201);
    let edge = json!({"ratios": {"requests_per_second": 1}});
    server.put("/v1/dependencies/web/cart", &edge).is(201);
    let request = json!({"service": "web", "replicas": 4, "deadline": "20s"});
    for _ in 0..5 {
        let begun = server.post_async("/v1/scaling-requests", &request).is(202);
        server.kill();
        server = Server::start(&data);
        let id = begun["negotiation"].as_str().unwrap();
        let progress = server.get(&format!("/v1/scaling-requests/{id}")).is(200);
        assert_eq!(progress["pending"], false, "{progress}");
        assert_eq!(progress["verdict"]["verdict"], "denied", "{progress}");
        let why = progress["verdict"]["reasons"].to_string();
        assert!(why.contains("stopped in the middle"), "{why}");
    }
}
