//! Parties outside the process take part in negotiations.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    party::{Party, agreeable, courteous},
    server::{Server, eventually},
};

/// `web` depends on `cart`, which answers for itself.
fn describe(server: &Server, cart: &Party) {
    let replica = json!({"capacity": {"requests_per_second": 10}});
    server.put("/v1/services/web", &json!({"replica": replica})).is(201);
    let cart = json!({"replica": replica, "replicas": {"max": 50}, "endpoint": cart.endpoint});
    server.put("/v1/services/cart", &cart).is(201);
    let edge = json!({"ratios": {"requests_per_second": 2}});
    server.put("/v1/dependencies/web/cart", &edge).is(201);
}

fn ask(server: &Server, replicas: u32) -> Value {
    let request = json!({"service": "web", "replicas": replicas, "deadline": "5s"});
    server.post("/v1/scaling-requests", &request).is(200)
}

#[test]
fn a_service_elsewhere_is_asked_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let cart = Party::start(agreeable);
    describe(&server, &cart);
    let verdict = ask(&server, 4);
    assert_eq!((&verdict["verdict"], &verdict["to"]), (&json!("approved"), &json!(4)), "{verdict}");
    eventually("that the party was told", || match cart.types().as_slice() {
        [call, accept, confirm] if call == "call_for_proposals" => {
            assert_eq!((accept.as_str(), confirm.as_str()), ("accept", "confirm"));
            Ok(())
        }
        other => Err(json!(other)),
    });
    let heard = cart.heard.lock().unwrap()[0].clone();
    let ask = &heard["data"]["load"]["asks"]["requests_per_second"];
    assert!((ask["requested"].as_f64().unwrap() - 72.0).abs() < 1e-6, "{heard}");
    let leases = server.get("/v1/leases").is(200);
    let of_cart = |lease: &Value| lease["owner"]["service"] == "cart" && lease["holder"] == "web";
    assert!(leases["items"].as_array().unwrap().iter().any(of_cart), "{leases}");
    let id = verdict["negotiation"].as_str().unwrap();
    let record = server.get(&format!("/v1/negotiations/{id}")).is(200);
    assert_eq!(record["outcome"], "approved", "{record}");
}

#[test]
fn less_than_was_asked_for_reduces_the_plan_and_a_refusal_denies_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let cart = Party::start(|message| {
        if message["type"] != "call_for_proposals" {
            return courteous(message["type"].as_str()?);
        }
        let ask = &message["data"]["load"]["asks"]["requests_per_second"];
        Some(match ask["requested"].as_f64()? {
            requested if requested > 500.0 => {
                json!({"type": "refuse", "data": {"reason": "far too much"}})
            }
            requested if requested > 40.0 => {
                let offer =
                    json!({"quantities": {"requests_per_second": 36}, "reason": "half of it"});
                json!({"type": "counter", "data": offer})
            }
            _ => json!({"type": "propose", "data": "all"}),
        })
    });
    describe(&server, &cart);
    let reduced = ask(&server, 4);
    assert_eq!((&reduced["verdict"], &reduced["to"]), (&json!("reduced"), &json!(2)), "{reduced}");
    assert!(reduced["reasons"].to_string().contains("half of it"), "{reduced}");
    let denied = ask(&server, 40);
    assert_eq!(denied["verdict"], "denied", "{denied}");
    assert!(denied["reasons"].to_string().contains("far too much"), "{denied}");
}

#[test]
fn answers_may_come_later_and_twice_but_not_differently() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    // Its responses contain no answers.
    let cart = Party::start(|_| None);
    describe(&server, &cart);
    let request = json!({"service": "web", "replicas": 3, "deadline": "20s"});
    let begun = server.post_async("/v1/scaling-requests", &request).is(202);
    let id = begun["negotiation"].as_str().unwrap().to_owned();
    assert_eq!(begun["pending"], true);
    let open = server.get(&format!("/v1/negotiations/{id}")).is(200);
    assert_eq!(open["outcome"], "open");
    let messages = format!("/v1/negotiations/{id}/messages");
    let heard = |kind: &str| {
        eventually(&format!("a {kind}"), || {
            let heard = cart.heard.lock().unwrap();
            let found = heard.iter().find(|message| message["type"] == kind);
            found.cloned().ok_or_else(|| json!(heard.len()))
        })
    };
    let say = |to: &Value, kind: &str, data: Value| {
        let from = json!({"service": "cart"});
        let reply = json!({"in_reply_to": to["message"], "from": from, "type": kind, "data": data});
        server.post(&messages, &reply)
    };
    let call = heard("call_for_proposals");
    let more = json!({"quantities": {"requests_per_second": 4000}, "reason": ""});
    say(&call, "counter", more).is_problem(422, "4000");
    let other = json!({"quantities": {"cpu_cores": 1}, "reason": ""});
    say(&call, "counter", other).is_problem(422, "not asked");
    say(&call, "confirm", json!({})).is_problem(422, "propose");
    let stranger = json!({"in_reply_to": call["message"], "from": {"service": "web"}, "type": "propose", "data": "all"});
    server.post(&messages, &stranger).is_problem(422, "cart");
    assert_eq!(say(&call, "propose", json!("all")).status, 202);
    assert_eq!(say(&call, "propose", json!("all")).status, 202);
    say(&call, "refuse", json!({"reason": "no"})).is_problem(409, "first answer counts");
    let accept = heard("accept");
    assert_eq!(say(&accept, "confirm", json!({})).status, 202);
    let verdict = eventually("a verdict", || {
        let progress = server.get(&format!("/v1/scaling-requests/{id}")).is(200);
        if progress["pending"] == false { Ok(progress["verdict"].clone()) } else { Err(progress) }
    });
    assert_eq!((&verdict["verdict"], &verdict["to"]), (&json!("approved"), &json!(3)), "{verdict}");
    let confirm = heard("confirm");
    assert_eq!(say(&confirm, "inform", json!("received")).status, 202);
    // The session is over once every party has received the result.
    say(&call, "propose", json!("all")).is_problem(409, "over");
    let nobody =
        json!({"in_reply_to": 1, "from": {"service": "cart"}, "type": "propose", "data": "all"});
    server.post("/v1/negotiations/none/messages", &nobody).is_problem(404, "none");
    // Repeated questions belong to the same session.
    let heard = cart.heard.lock().unwrap();
    assert!(heard.iter().all(|message| message["session"] == call["session"]));
}

#[test]
fn a_party_that_is_not_there_delays_but_does_not_stall() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let mut cart = Party::start(agreeable);
    // Nobody listens on port 9.
    cart.endpoint = "http://127.0.0.1:9/".to_owned();
    describe(&server, &cart);
    let request = json!({"service": "web", "replicas": 3, "deadline": "1500ms"});
    let began = std::time::Instant::now();
    let verdict = server.post("/v1/scaling-requests", &request).is(200);
    assert_eq!(verdict["verdict"], "denied", "{verdict}");
    assert!(verdict["reasons"].to_string().contains("cart"), "{verdict}");
    assert!(began.elapsed() < Duration::from_secs(30));
    server
        .put("/v1/services/other", &json!({"replica": {"capacity": {"requests_per_second": 1}}}))
        .is(201);
}

#[test]
fn an_endpoint_is_an_http_address() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let replica = json!({"capacity": {"requests_per_second": 10}});
    let service = json!({"replica": replica, "endpoint": "ftp://somewhere"});
    server.put("/v1/services/web", &service).is_problem(400, "http://");
}

#[test]
fn what_is_taken_back_is_replaced_before_the_notice_runs_out() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data);
    let rack = |cost: f64| json!({"units": [{"id": "m", "count": 4, "resources": {"cpu_cores": 4}, "cost_per_hour": cost, "interruption_notice": "10m"}]});
    server.put("/v1/providers/spot", &rack(0.1)).is(201);
    server.put("/v1/providers/firm", &rack(0.4)).is(201);
    let replica = json!({"requests": {"cpu_cores": 1}, "capacity": {"requests_per_second": 10}});
    server.put("/v1/services/web", &json!({"replica": replica})).is(201);
    let asked = json!({"service": "web", "replicas": 8, "duration": "2h"});
    assert_eq!(server.post("/v1/scaling-requests", &asked).is(200)["verdict"], "approved");
    let cores = |server: &Server, provider: &str| {
        let leases = server.get("/v1/leases").is(200);
        let of = |lease: &&Value| lease["owner"]["unit"]["provider"] == provider;
        let items = leases["items"].as_array().unwrap().clone();
        items.iter().filter(of).filter_map(|l| l["amounts"]["cpu_cores"].as_f64()).sum::<f64>()
    };
    assert!((cores(&server, "spot") - 8.0).abs() < 1e-6);
    let many = json!({"unit": "m", "count": 5});
    server.post("/v1/providers/spot/reclaims", &many).is_problem(400, "1 to 4");
    let three = json!({"unit": "m", "count": 3});
    let reclaimed = server.post("/v1/providers/spot/reclaims", &three).is(200);
    assert!(!reclaimed["leases"].as_array().unwrap().is_empty(), "{reclaimed}");
    let replaced = || {
        eventually("a lease elsewhere", || {
            let firm = cores(&server, "firm");
            if firm >= 4.0 - 1e-6 { Ok(()) } else { Err(json!(firm)) }
        });
    };
    replaced();
    assert_eq!(server.get("/v1/services/web").is(200)["status"]["replicas"]["desired"], 8);
    server.kill();
    // The host remembers the announced reclaim.
    let server = Server::start(&data);
    let more = json!({"service": "web", "replicas": 24, "duration": "2h"});
    let verdict = server.post("/v1/scaling-requests", &more).is(200);
    assert_eq!(verdict["verdict"], "reduced", "{verdict}");
}

#[test]
fn a_service_that_concedes_is_asked_until_it_carries_all() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let replica = json!({"capacity": {"requests_per_second": 10}});
    server.put("/v1/services/web", &json!({"replica": replica})).is(201);
    server.put("/v1/services/cart", &json!({"replica": replica, "replicas": {"max": 10}})).is(201);
    let edge = json!({"ratios": {"requests_per_second": 2}});
    server.put("/v1/dependencies/web/cart", &edge).is(201);
    let policy = |rounds: u32| {
        let negotiation = json!({"max_rounds": rounds});
        let policy = json!({"answering": {"plugin": "conceding"}, "negotiation": negotiation});
        server.put("/v1/policies/default", &policy).is(200);
    };
    // In the first round the service offers half of what it can promise, but the request needs most of it.
    policy(1);
    let hasty = ask(&server, 4);
    assert_eq!(hasty["verdict"], "reduced", "{hasty}");
    policy(4);
    let patient = ask(&server, 4);
    assert_eq!(patient["verdict"], "approved", "{patient}");
    assert_eq!(patient["agreement"]["rounds"], 3, "{patient}");
}

#[test]
fn a_dry_run_asks_parties_elsewhere_and_binds_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let cart = Party::start(agreeable);
    describe(&server, &cart);
    let request = json!({"service": "web", "replicas": 4, "deadline": "5s", "dry_run": true});
    let verdict = server.post("/v1/scaling-requests", &request).is(200);
    assert_eq!((&verdict["verdict"], &verdict["to"]), (&json!("approved"), &json!(4)), "{verdict}");
    assert_eq!(verdict["dry_run"], true, "{verdict}");
    eventually("that the party was told", || match cart.types().as_slice() {
        [call, reject] if call == "call_for_proposals" && reject == "reject" => Ok(()),
        other => Err(json!(other)),
    });
    assert_eq!(server.get("/v1/leases").is(200)["items"], json!([]));
    let web = server.get("/v1/services/web").is(200);
    assert_eq!(web["status"]["replicas"]["desired"], 1, "{web}");
    let id = verdict["negotiation"].as_str().unwrap();
    assert_eq!(server.get(&format!("/v1/scaling-requests/{id}")).status, 404);
}
