//! Scaling requests for later windows, with the real binary: they are agreed now, survive `kill -9`, scale the
//! service when the window begins, and end with the window.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::{
    party::{Party, agreeable},
    server::{Server, eventually},
};

/// The time so many milliseconds from now, since the epoch.
fn ahead(millis: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    u64::try_from(now).unwrap() + millis
}

fn describe(server: &Server) {
    let rack = json!({"units": [{"id": "m", "count": 8, "resources": {"cpu_cores": 4}, "cost_per_hour": 1}]});
    server.put("/v1/providers/rack", &rack).is(201);
    let replica = json!({"requests": {"cpu_cores": 1}, "capacity": {"requests_per_second": 10}});
    let web = json!({"replica": replica, "replicas": {"min": 1, "max": 50}});
    server.put("/v1/services/web", &web).is(201);
}

/// A service elsewhere, which answers for itself, and which `web` depends on.
fn depend_on_cart(server: &Server) -> Party {
    let cart = Party::start(agreeable);
    let replica = json!({"capacity": {"requests_per_second": 10}});
    let elsewhere = json!({"replica": replica, "replicas": {"max": 50}, "endpoint": cart.endpoint});
    server.put("/v1/services/cart", &elsewhere).is(201);
    let edge = json!({"ratios": {"requests_per_second": 1}});
    server.put("/v1/dependencies/web/cart", &edge).is(201);
    cart
}

fn replicas(server: &Server) -> u64 {
    let web = server.get("/v1/services/web").is(200);
    web["status"]["replicas"]["desired"].as_u64().unwrap()
}

fn become_so_many(server: &Server, wanted: u64) {
    eventually(&format!("{wanted} replicas"), || match replicas(server) {
        now if now == wanted => Ok(()),
        other => Err(json!(other)),
    });
}

#[test]
fn what_is_reserved_outlives_a_kill_and_has_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data);
    describe(&server);
    let (start, end) = (ahead(8_000), ahead(28_000));
    let windows = json!([
        {"start": start, "end": end, "replicas": 20},
        {"start": ahead(3_600_000), "duration": "10m", "replicas": 90},
    ]);
    let request = json!({"service": "web", "windows": windows});
    let begun = server.post_async("/v1/scaling-requests", &request).is(202);
    let id = begun["negotiation"].as_str().unwrap().to_owned();
    eventually("a verdict", || {
        let progress = server.get(&format!("/v1/scaling-requests/{id}")).is(200);
        if progress["pending"] == false { Ok(()) } else { Err(progress) }
    });
    server.kill();
    let server = Server::start(&data);
    let verdict = server.get(&format!("/v1/scaling-requests/{id}")).is(200)["verdict"].clone();
    assert_eq!(verdict["verdict"], "reduced", "{verdict}");
    let words = [&verdict["windows"][0]["verdict"], &verdict["windows"][1]["verdict"]];
    assert_eq!(words, ["approved", "reduced"], "{verdict}");
    let before = replicas(&server);
    // The start may have taken so long that the window has begun.
    assert!(before == 1 || ahead(0) >= start, "not before its time");
    become_so_many(&server, 20);
    assert!(ahead(0) >= start);
    become_so_many(&server, 1);
    assert!(ahead(0) >= end);
    let part = verdict["windows"][1]["negotiation"].as_str().unwrap();
    let others = |server: &Server| -> usize {
        let leases = server.get("/v1/leases").is(200);
        let items = leases["items"].as_array().unwrap().clone();
        items.iter().filter(|lease| lease["negotiation"] == part).count()
    };
    assert_eq!(others(&server), 1);
    assert_eq!(server.delete(&format!("/v1/scaling-requests/{id}")).status, 204);
    assert_eq!(others(&server), 0);
    server.kill();
    let server = Server::start(&data);
    assert_eq!(others(&server), 0, "it stays given up");
}

#[test]
fn a_party_elsewhere_hears_of_each_window_and_that_it_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    describe(&server);
    let cart = depend_on_cart(&server);
    let hour = 3_600_000;
    let windows = json!([
        {"start": ahead(hour), "duration": "10m", "replicas": 5},
        {"start": ahead(2 * hour), "duration": "10m", "replicas": 6},
    ]);
    let request = json!({"service": "web", "windows": windows, "deadline": "10s"});
    let verdict = server.post("/v1/scaling-requests", &request).is(200);
    assert_eq!((&verdict["verdict"], &verdict["to"]), (&json!("approved"), &json!(6)), "{verdict}");
    let promised = || -> Vec<Value> {
        let leases = server.get("/v1/leases").is(200);
        let items = leases["items"].as_array().unwrap().clone();
        items.into_iter().filter(|lease| lease["owner"]["service"] == "cart").collect()
    };
    let of = |n: usize| verdict["windows"][n]["negotiation"].clone();
    let held = |n: usize| promised().iter().filter(|lease| lease["negotiation"] == of(n)).count();
    assert_eq!((held(0), held(1)), (1, 1));
    let again =
        json!({"service": "web", "replicas": 2, "start": ahead(hour + 60_000), "duration": "1m"});
    let first = of(0).as_str().unwrap().to_owned();
    server.post("/v1/scaling-requests", &again).is_problem(409, &first);
    assert_eq!(server.delete(&format!("/v1/scaling-requests/{first}")).status, 204);
    assert_eq!((held(0), held(1)), (0, 1));
    eventually("that the party was told", || {
        let heard = cart.heard.lock().unwrap();
        let release = heard.iter().find(|message| message["type"] == "release");
        let release = release.filter(|message| message["session"] == first.as_str());
        release.map(drop).ok_or_else(|| json!(heard.len()))
    });
    assert_eq!(server.post("/v1/scaling-requests", &again).is(200)["verdict"], "approved");
}

#[test]
fn what_a_provider_takes_back_is_had_elsewhere_with_parties_elsewhere_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    describe(&server);
    let _cart = depend_on_cart(&server);
    let request = json!({"service": "web", "start": ahead(3_600_000), "duration": "10m",
                         "replicas": 20, "deadline": "10s"});
    let verdict = server.post("/v1/scaling-requests", &request).is(200);
    assert_eq!(verdict["verdict"], "approved", "{verdict}");
    let hall = json!({"units": [{"id": "m", "count": 8, "resources": {"cpu_cores": 4}, "cost_per_hour": 2}]});
    server.put("/v1/providers/hall", &hall).is(201);
    let back = json!({"unit": "m", "count": 7});
    let ended = server.post("/v1/providers/rack/reclaims", &back).is(200);
    assert_eq!(ended["leases"].as_array().unwrap().len(), 1, "{ended}");
    let reserved = || -> Vec<Value> {
        let leases = server.get("/v1/leases").is(200);
        let items = leases["items"].as_array().unwrap().clone();
        let later = |lease: &Value| lease["window"]["start"] == verdict["window"]["start"];
        items.into_iter().filter(later).collect()
    };
    let placed = || -> u64 {
        let units = reserved().into_iter().filter(|lease| lease["owner"]["unit"].is_object());
        units.map(|lease| lease["replicas"].as_u64().unwrap()).sum()
    };
    eventually("20 replicas elsewhere", || match placed() {
        20 => Ok(()),
        other => Err(json!(other)),
    });
    let id = verdict["negotiation"].as_str().unwrap();
    assert_eq!(server.delete(&format!("/v1/scaling-requests/{id}")).status, 204);
    assert_eq!(reserved(), [] as [Value; 0]);
}

#[test]
fn a_request_over_time_that_makes_no_sense_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    describe(&server);
    let ask = |request: Value| {
        let mut request = request;
        request["service"] = json!("web");
        server.post("/v1/scaling-requests", &request)
    };
    ask(json!({"replicas": 3, "start": "2020-01-01T00:00:00Z"})).is_problem(400, "`start` is 2020");
    ask(json!({"replicas": 3, "start": "2090-01-01T00:00:00Z"})).is_problem(400, "must be over by");
    ask(json!({"windows": [{"start": ahead(9000), "replicas": 3}]}))
        .is_problem(400, "windows[0]: give either `end` or `duration`");
    ask(json!({"windows": [], "replicas": 3})).is_problem(400, "move `replicas`");
    assert_eq!(server.delete("/v1/scaling-requests/none").status, 404);
    assert_eq!(server.get("/v1/leases").is(200)["items"], json!([]));
}
