//! Parties that send invalid messages: the host records a clear error, and nothing changes.

use std::{
    io::{BufRead, BufReader},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};

use crate::{
    party::{Party, agreeable, courteous},
    server::{Server, eventually},
};

fn describe(server: &Server, cart: &Party) {
    let replica = json!({"capacity": {"requests_per_second": 10}});
    server.put("/v1/services/web", &json!({"replica": replica})).is(201);
    server
        .put("/v1/services/cart", &json!({"replica": replica, "endpoint": cart.endpoint}))
        .is(201);
    let edge = json!({"ratios": {"requests_per_second": 1}});
    server.put("/v1/dependencies/web/cart", &edge).is(201);
}

/// Collects the events from now on.
fn events(server: &Server) -> Arc<Mutex<Vec<Value>>> {
    let heard = Arc::default();
    let kept: Arc<Mutex<Vec<Value>>> = Arc::clone(&heard);
    let agent: ureq::Agent = ureq::Agent::config_builder().build().into();
    let response = agent.get(server.url("/v1/events")).call().unwrap();
    std::thread::spawn(move || {
        let lines = BufReader::new(response.into_body().into_reader()).lines();
        for line in lines.map_while(Result::ok) {
            if let Some(data) = line.strip_prefix("data: ") {
                kept.lock().unwrap().extend(serde_json::from_str::<Value>(data));
            }
        }
    });
    heard
}

fn told(events: &Mutex<Vec<Value>>, says: &str) {
    eventually(&format!("an event about {says}"), || {
        let events = events.lock().unwrap();
        let is =
            |event: &Value| event["kind"] == "fault" && event["message"].to_string().contains(says);
        if events.iter().any(is) { Ok(()) } else { Err(json!(*events)) }
    });
}

fn transcript(server: &Server, id: &str) -> String {
    server.get(&format!("/v1/negotiations/{id}")).is(200)["transcript"].to_string()
}

#[test]
fn a_response_that_makes_no_sense_is_asked_for_again() {
    let absurd = [
        json!("hello"),
        json!({"type": "counter", "data": {"quantities": {"requests_per_second": -5}, "reason": ""}}),
        json!({"type": "counter", "data": {"quantities": {"requests_per_second": 1e9}, "reason": ""}}),
        json!({"type": "confirm", "data": {}}),
    ];
    let asked = AtomicUsize::new(0);
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let cart = Party::start(move |message| match message["type"] == "call_for_proposals" {
        true => {
            let place = asked.fetch_add(1, Ordering::Relaxed);
            absurd.get(place).cloned().or_else(|| agreeable(message))
        }
        false => courteous(message["type"].as_str()?),
    });
    describe(&server, &cart);
    let events = events(&server);
    let request = json!({"service": "web", "replicas": 4, "deadline": "30s"});
    let verdict = server.post("/v1/scaling-requests", &request).is(200);
    assert_eq!(verdict["verdict"], "approved", "{verdict}");
    let said = transcript(&server, verdict["negotiation"].as_str().unwrap());
    for says in ["its 7 bytes", "are not a message", "1000000000", "a confirm does not answer"] {
        assert!(said.contains(says), "{says} is not in {said}");
        told(&events, says);
    }
}

#[test]
fn whoever_answers_nothing_but_nonsense_is_told_why_it_was_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let cart = Party::start(|_| Some(json!("hello")));
    describe(&server, &cart);
    let request = json!({"service": "web", "replicas": 4, "deadline": "2s"});
    let verdict = server.post("/v1/scaling-requests", &request).is(200);
    assert_eq!(verdict["verdict"], "denied", "{verdict}");
    let reasons = verdict["reasons"].to_string();
    assert!(
        reasons.contains("no answer that counts") && reasons.contains("are not a message"),
        "{reasons}"
    );

    let bids = Party::start(|message| {
        let unit = &message["data"]["bids"]["inventory"][0];
        let guarantees =
            json!({"availability": 1, "interruption_rate": 0, "interruption_notice": "0s"});
        let bid = json!({
            "unit": unit["unit"]["id"], "provider": unit["provider"], "location": "moon", "count": 1,
            "price_per_hour": 1, "performance": 1, "guarantees": guarantees,
        });
        Some(json!({"type": "propose", "data": {"bids": [bid]}}))
    });
    let units = json!([{"id": "m", "count": 4, "resources": {"cpu_cores": 4}, "cost_per_hour": 1}]);
    let provider = json!({"location": "here", "units": units, "endpoint": bids.endpoint});
    server.put("/v1/providers/far", &provider).is(201);
    let replica = json!({"requests": {"cpu_cores": 1}, "capacity": {"requests_per_second": 10}});
    server.put("/v1/services/job", &json!({"replica": replica})).is(201);
    let request = json!({"service": "job", "replicas": 2, "deadline": "2s"});
    let verdict = server.post("/v1/scaling-requests", &request).is(200);
    let reasons = verdict["reasons"].to_string();
    assert!(reasons.contains("far") && reasons.contains("moon"), "{verdict}");
}

#[test]
fn what_is_posted_and_makes_no_sense_is_on_record() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let cart = Party::start(|_| None);
    describe(&server, &cart);
    let events = events(&server);
    let request = json!({"service": "web", "replicas": 4, "deadline": "30s"});
    let begun = server.post_async("/v1/scaling-requests", &request).is(202);
    let id = begun["negotiation"].as_str().unwrap().to_owned();
    let call = eventually("a call", || {
        cart.heard.lock().unwrap().first().cloned().ok_or_else(|| json!("nothing"))
    });
    let messages = format!("/v1/negotiations/{id}/messages");
    let counter = |amount: &Value| {
        json!({
            "in_reply_to": call["message"], "from": {"service": "cart"}, "type": "counter",
            "data": {"quantities": {"requests_per_second": amount}, "reason": ""},
        })
    };
    server.post(&messages, &counter(&json!(-4))).is_problem(422, "-4");
    server.post(&messages, &counter(&json!(1e300))).is_problem(422, "between 0 and 1e15");
    let nowhere = "/v1/negotiations/none/messages";
    server.post(nowhere, &counter(&json!(-4))).is_problem(404, "none");
    server.post(nowhere, &counter(&json!(4))).is_problem(404, "none");
    told(&events, "there is no negotiation none");

    // Only the requester can cancel the negotiation.
    let cancel = |from: &str| json!({"from": {"service": from}, "type": "cancel", "data": {"reason": "enough"}});
    server.post(&messages, &cancel("cart")).is_problem(422, "only the requester");
    assert_eq!(server.post(&messages, &cancel("web")).status, 202);
    let verdict = eventually("the end", || {
        let progress = server.get(&format!("/v1/scaling-requests/{id}")).is(200);
        if progress["pending"] == false { Ok(progress["verdict"].clone()) } else { Err(progress) }
    });
    assert_eq!(verdict["verdict"], "denied", "{verdict}");
    assert!(verdict["reasons"].to_string().contains("cancelled: enough"), "{verdict}");
    let said = transcript(&server, &id);
    for says in ["-4", "only the requester can"] {
        assert!(said.contains(says), "{says} is not in {said}");
    }
    server.post(&messages, &counter(&json!(40))).is_problem(409, "over");
    told(&events, "is over");
    assert_eq!(server.get("/v1/leases").is(200)["items"], json!([]));
}
