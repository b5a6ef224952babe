use haggle_builtin::EXAMPLE;
use serde_json::json;

use crate::server::{Answer, Server, agent, eventually};

const MISBEHAVING: &[u8] = include_bytes!("../../plugins/dist/misbehaving.wasm");

#[test]
fn a_plugin_is_loaded_swapped_rolled_back_and_deleted_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data);
    let first = server.put_bytes("/v1/plugins/mine", EXAMPLE.bytes).is(201);
    assert_eq!(first["current"]["generation"], 1);
    assert_eq!(first["current"]["roles"], json!(["forecasting"]));
    assert_eq!(first["current"]["digest"], EXAMPLE.sha256.trim());
    let policy = json!({"forecasting": {"plugin": "mine"}});
    server.put("/v1/policies/default", &policy).is(200);
    let second = server.put_bytes("/v1/plugins/mine", MISBEHAVING).is(200);
    assert_eq!(second["current"]["generation"], 2);
    assert_eq!(second["previous"]["generation"], 1);
    let back = server.post("/v1/plugins/mine/rollback", &json!({})).is(200);
    assert_eq!(back["current"]["generation"], 1);
    server.delete("/v1/plugins/mine").is_problem(409, "policy default");
    server.kill();

    let server = Server::start(&data);
    let restored = server.get("/v1/plugins/mine").is(200);
    assert_eq!(restored["current"]["generation"], 1, "{restored}");
    assert_eq!(restored["previous"]["generation"], 2, "{restored}");
    server.put("/v1/policies/default", &json!({})).is(200);
    assert_eq!(server.delete("/v1/plugins/mine").status, 204);
    server.get("/v1/plugins/mine").is_problem(404, "mine");
    let built_in = server.get("/v1/plugins/slo-tiers").is(200);
    assert_eq!(built_in["built_in"], true);
    server.delete("/v1/plugins/slo-tiers").is_problem(409, "built in");
}

#[test]
fn a_bad_upload_changes_nothing_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    server.put_bytes("/v1/plugins/mine", EXAMPLE.bytes).is(201);
    server.put_bytes("/v1/plugins/mine", b"").is_problem(422, "not WebAssembly");
    server.put_bytes("/v1/plugins/mine", b"#!/bin/sh").is_problem(422, "not WebAssembly");
    let half = &EXAMPLE.bytes[..EXAMPLE.bytes.len() / 2];
    server.put_bytes("/v1/plugins/mine", half).is_problem(422, "");
    let told = "/v1/plugins/mine?configuration=%5B1%5D";
    server.put_bytes(told, EXAMPLE.bytes).is_problem(400, "must be a JSON object");
    let huge = vec![0; 100 << 20];
    // The server need not read the whole upload before it refuses it.
    let answer = Answer::of(agent().put(server.url("/v1/plugins/mine")).send(&huge[..]));
    if let Ok(answer) = answer {
        answer.is_problem(413, "");
    }
    let mine = server.get("/v1/plugins/mine").is(200);
    assert_eq!(mine["current"]["generation"], 1, "{mine}");
    assert_eq!(mine["previous"], json!(null), "{mine}");
}

#[test]
fn a_loaded_plugin_forecasts_as_soon_as_a_policy_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    server.put_bytes("/v1/plugins/mine", EXAMPLE.bytes).is(201);
    let service = json!({"replica": {"capacity": {"requests_per_second": 10}}});
    server.put("/v1/services/a", &service).is(201);
    server.put("/v1/policies/default", &json!({"forecasting": {"plugin": "mine"}})).is(200);
    // A step has to be over before it is part of a history.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let before = u64::try_from(now.as_millis()).unwrap() - 120_000;
    let sample = json!({"service": "a", "time": before, "value": 95});
    server.post("/v1/samples", &json!({"samples": [sample]})).is(202);
    let forecast = eventually("a forecast", || {
        let forecast = server.get("/v1/forecasts/a");
        if forecast.status == 200 { Ok(forecast.body) } else { Err(forecast.body) }
    });
    assert_eq!((&forecast["plugin"], &forecast["generation"]), (&json!("mine"), &json!(1)));
}

/// A plugin that passes the trial calls and traps later: the previous generation decides or, if there is none, a
/// built-in plugin.
#[test]
fn a_plugin_that_fails_later_loses_its_turn_and_not_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let treacherous = "/v1/plugins/mine?configuration=%7B%22later%22:%22trap%22%7D";
    server.put_bytes(treacherous, MISBEHAVING).is(201);
    let service = json!({"replica": {"capacity": {"requests_per_second": 10}}});
    server.put("/v1/services/a", &service).is(201);
    server.put("/v1/policies/default", &json!({"forecasting": {"plugin": "mine"}})).is(200);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let before = u64::try_from(now.as_millis()).unwrap() - 120_000;
    let sample = json!({"service": "a", "time": before, "value": 95});
    server.post("/v1/samples", &json!({"samples": [sample]})).is(202);
    let decides = |plugin: &str, generation: u64| {
        eventually(&format!("a forecast by {plugin} {generation}"), || {
            let forecast = server.get("/v1/forecasts/a").body;
            let by = (&forecast["plugin"], &forecast["generation"]);
            if by == (&json!(plugin), &json!(generation)) { Ok(()) } else { Err(forecast) }
        });
    };
    decides("seasonal-smoothing", 1);
    server.put_bytes("/v1/plugins/mine", EXAMPLE.bytes).is(200);
    decides("mine", 2);
    let failures = || {
        let metrics = server.get("/metrics").body.as_str().unwrap_or_default().to_owned();
        let of_mine =
            |line: &&str| line.contains("plugin=\"mine\"") && line.contains("outcome=\"failed\"");
        let counts = metrics.lines().filter(of_mine);
        counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum::<u64>()
    };
    let so_far = failures();
    assert!(so_far > 0);
    let third = server.put_bytes(treacherous, MISBEHAVING).is(200);
    assert_eq!(third["current"]["generation"], 3);
    eventually("a failure of the third", || {
        if failures() > so_far { Ok(()) } else { Err(json!(failures())) }
    });
    decides("mine", 2);
    assert_eq!(server.get("/readyz").status, 200);
}

/// A plugin that loops in negotiations does not keep a service from scaling, not even at the first request. The
/// built-in plugin decides, and both the negotiation's record and the plugin's last error say so.
#[test]
fn a_bidder_that_loops_leaves_its_negotiations_to_the_built_in_one() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let looping = "/v1/plugins/mine?configuration=%7B%22later%22:%22loop%22%7D";
    server.put_bytes(looping, MISBEHAVING).is(201);
    server
        .put(
            "/v1/policies/default",
            &json!({"answering": {"plugin": "mine"}, "ranking": {"plugin": "mine"}}),
        )
        .is(200);
    let units =
        json!([{"id": "m", "count": 50, "resources": {"cpu_cores": 4}, "cost_per_hour": 1}]);
    server.put("/v1/providers/cloud", &json!({"units": units})).is(201);
    let replica = json!({"requests": {"cpu_cores": 1}, "capacity": {"requests_per_second": 10}});
    for service in ["web", "cart"] {
        server.put(&format!("/v1/services/{service}"), &json!({"replica": replica})).is(201);
    }
    let edge = json!({"ratios": {"requests_per_second": 1}});
    server.put("/v1/dependencies/web/cart", &edge).is(201);
    for (replicas, deadline) in [(4, None), (6, Some("4s"))] {
        let request = json!({"service": "web", "replicas": replicas, "deadline": deadline});
        let verdict = server.post("/v1/scaling-requests", &request).is(200);
        assert_eq!(verdict["verdict"], "approved", "{verdict}");
        let id = verdict["negotiation"].as_str().unwrap();
        let record = server.get(&format!("/v1/negotiations/{id}")).is(200);
        let said = record["transcript"].to_string();
        let instead = "the built-in price-performance answered instead";
        assert!(said.contains("plugin mine generation 1") && said.contains(instead), "{said}");
    }
    let mine = server.get("/v1/plugins/mine").is(200);
    let last = mine["last_error"]["message"].as_str().unwrap();
    assert!(last.contains("did not answer within"), "{last}");
    assert!(last.ends_with("; the built-in price-performance answered instead"), "{last}");
}

#[test]
fn an_upload_over_a_built_in_plugin_says_what_it_replaces() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let over = "/v1/plugins/seasonal-smoothing";
    let uploaded = server.put_bytes(over, EXAMPLE.bytes).is(200);
    let notice = uploaded["notice"].as_str().unwrap();
    assert!(notice.contains("in place of the built-in seasonal-smoothing"), "{notice}");
    assert_eq!(server.get(over).is(200)["notice"], notice);
    assert_eq!(server.delete(over).status, 204);
    assert_eq!(server.get(over).is(200)["notice"], json!(null));
}
