use std::io::{BufRead, BufReader};

use serde_json::{Value, json};

use crate::server::{Server, agent, eventually};

/// A service whose replicas carry 100 requests per second and take half a core.
fn service(max: u32) -> Value {
    json!({
        "replica": {"requests": {"cpu_cores": 0.5}, "capacity": {"requests_per_second": 100}},
        "replicas": {"min": 1, "max": max},
    })
}

fn provider(count: u32) -> Value {
    json!({"units": [{"id": "m", "count": count, "resources": {"cpu_cores": 2}, "cost_per_hour": 0.1}]})
}

/// A front that calls a back twice for every request.
fn shop(server: &Server, back_max: u32, machines: u32) {
    server.put("/v1/services/front", &service(50)).is(201);
    server.put("/v1/services/back", &service(back_max)).is(201);
    let twice = json!({"strength": "mandatory", "ratios": {"requests_per_second": 2}});
    server.put("/v1/dependencies/front/back", &twice).is(201);
    server.put("/v1/providers/rack", &provider(machines)).is(201);
}

#[test]
fn errors_say_what_where_and_how_to_mend_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    server.get("/nowhere").is_problem(404, "");
    server.post("/v1/graph", &json!({})).is_problem(405, "");
    server.get("/v1/services/nobody").is_problem(404, "there is no service nobody");
    server.put("/v1/services/Bad_Name", &service(1)).is_problem(400, "lower-case");
    server.put("/v1/services/a", &json!({"replica": {}})).is_problem(400, "capacity");
    let mut typo = service(1);
    typo["replcas"] = json!(1);
    server.put("/v1/services/a", &typo).is_problem(400, "replcas");
    let mut other = service(1);
    other["name"] = json!("b");
    server.put("/v1/services/a", &other).is_problem(400, "b");
    let mut lost = service(1);
    lost["policy"] = json!("nobodys");
    server.put("/v1/services/a", &lost).is_problem(409, "nobodys");
    server.get("/v1/services/a").is_problem(404, "there is no service a");

    server.put("/v1/services/a", &service(1)).is(201);
    server.put("/v1/services/a", &service(2)).is(200);
    let ratio = |ratio: Value| json!({"ratios": {"requests_per_second": ratio}});
    server.put("/v1/dependencies/a/b", &ratio(json!(1))).is_problem(409, "there is no service b");
    server.put("/v1/dependencies/a/a", &ratio(json!(1))).is_problem(400, "itself");
    server.put("/v1/services/b", &service(1)).is(201);
    server.put("/v1/dependencies/a/b", &ratio(json!(-1))).is_problem(400, "between 0");
    server.put("/v1/dependencies/a/b", &ratio(json!(0))).is_problem(400, "ratio");
    server.put("/v1/dependencies/a/b", &ratio(json!("x"))).is_problem(400, "not an amount");
    server.put("/v1/dependencies/a/b", &ratio(json!(1))).is(201);
    server.delete("/v1/services/b").is_problem(409, "a -> b");
    let wrong = json!({"scaling": {"target_utilization": 2}});
    server.put("/v1/policies/p", &wrong).is_problem(400, "scaling.target_utilization");
    let absent = json!({"forecasting": {"plugin": "absent"}});
    server.put("/v1/policies/p", &absent).is_problem(409, "absent");
    let sample = |value: Value| json!({"samples": [{"service": "a", "value": value}]});
    server.post("/v1/samples", &sample(json!("many"))).is_problem(400, "");
    server
        .post("/v1/samples", &json!({"samples": [{"service": "z", "value": 1}]}))
        .is_problem(404, "z");
    server.post("/v1/scaling-requests", &json!({"service": "a"})).is_problem(400, "unclear");
    server.get("/v1/forecasts/a").is_problem(404, "no forecast yet");
    server.get("/v1/negotiations/none").is_problem(404, "none");
    server.get("/v1/decisions?after=x").is_problem(400, "after");
}

#[test]
fn malformed_json_is_told_where() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let request = agent().put(server.url("/v1/services/a")).content_type("application/json");
    let answer = crate::server::Answer::of(request.send("{\n  \"replica\": {,}\n}")).unwrap();
    answer.is_problem(400, "line 2");
}

#[test]
fn a_request_is_negotiated_through_the_graph_and_no_more_is_promised_than_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    shop(&server, 100, 10);
    let ask = |replicas: u32| {
        server
            .post("/v1/scaling-requests", &json!({"service": "front", "replicas": replicas}))
            .is(200)
    };
    let approved = ask(4);
    assert_eq!(approved["verdict"], "approved", "{approved}");
    assert_eq!(approved["to"], 4);
    let services = &approved["agreement"]["services"];
    assert_eq!(services["back"]["replicas"], 8, "twice the load: {services}");
    let id = approved["negotiation"].as_str().unwrap();
    let record = server.get(&format!("/v1/negotiations/{id}")).is(200);
    assert_eq!(record["outcome"], "approved");
    assert!(record["transcript"]["messages"].as_array().unwrap().len() > 3);

    // Ten machines of two cores carry forty replicas of both together: a third of them fronts.
    let reduced = ask(30);
    assert_eq!(reduced["verdict"], "reduced", "{reduced}");
    assert!(!reduced["reasons"].as_array().unwrap().is_empty());
    let leases = server.get("/v1/leases").is(200);
    let cores: f64 = leases["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|lease| lease["amounts"]["cpu_cores"].as_f64())
        .sum();
    assert!(cores > 10.0 && cores <= 20.0, "{cores} of 20 cores: {leases}");

    let decisions = server.get("/v1/decisions?after=0&limit=1").is(200);
    assert_eq!(decisions["items"].as_array().unwrap().len(), 1);
    let next = decisions["next"].as_u64().unwrap();
    let rest = server.get(&format!("/v1/decisions?after={next}")).is(200);
    assert!(rest["items"].as_array().unwrap().iter().all(|d| d["sequence"].as_u64() > Some(next)));
    eventually("the replicas", || {
        let front = server.get("/v1/services/front").is(200);
        let ready = front["status"]["replicas"]["ready"].as_u64() >= Some(4);
        if ready { Ok(()) } else { Err(front) }
    });
}

#[test]
fn a_mandatory_dependency_that_cannot_grow_limits_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    shop(&server, 4, 100);
    let dry = json!({"service": "front", "replicas": 8, "dry_run": true});
    let foreseen = server.post("/v1/scaling-requests", &dry).is(200);
    assert_eq!(foreseen["verdict"], "reduced");
    assert_eq!(server.get("/v1/leases").is(200)["items"], json!([]), "a dry run holds nothing");
    let verdict =
        server.post("/v1/scaling-requests", &json!({"service": "front", "replicas": 8})).is(200);
    assert_eq!(verdict["verdict"], "reduced", "{verdict}");
    assert_eq!(verdict["to"], 2, "four backs carry what two fronts ask: {verdict}");
    let reasons = verdict["reasons"].to_string();
    assert!(reasons.contains("back"), "{reasons}");
}

#[test]
fn load_is_forecast_negotiated_and_scaled_for() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    shop(&server, 100, 100);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = u64::try_from(now.as_millis()).unwrap();
    let sample = |service: &str, ago: u64, value: f64| json!({"service": service, "time": now - ago * 60_000, "value": value});
    let load = |i: u64| 500.0 + (i % 5) as f64;
    let samples: Vec<Value> = (0..120)
        .rev()
        .flat_map(|i| [sample("front", i, load(i)), sample("back", i, 2.0 * load(i))])
        .collect();
    let accepted = server.post("/v1/samples", &json!({"samples": samples})).is(202);
    assert_eq!(accepted["stored"], 240);
    let front = eventually("scaling", || {
        let front = server.get("/v1/services/front").is(200);
        let enough = front["status"]["replicas"]["desired"].as_u64() >= Some(6);
        let everything =
            || json!([&front, server.get("/v1/decisions").body, server.get("/metrics").body]);
        if enough { Ok(front) } else { Err(everything()) }
    });
    assert!(front["status"]["planned"]["requests_per_second"].as_f64() >= Some(500.0), "{front}");
    // Observed loads count at once; the forecast exists when its plugin has answered.
    let forecast = eventually("the forecast", || {
        let answer = server.get("/v1/forecasts/front");
        if answer.status == 200 { Ok(answer.body) } else { Err(json!(answer.body)) }
    });
    let mean = forecast["mean"][0].as_f64().unwrap();
    assert!((450.0..550.0).contains(&mean), "{forecast}");
    forecasts_add_up(&server);
    let decisions = server.get("/v1/decisions").is(200).to_string();
    assert!(decisions.contains("observed") || decisions.contains("forecast"), "{decisions}");
    let metrics = server.get("/metrics").is(200);
    let metrics = metrics.as_str().unwrap();
    for name in ["haggle_plugin_calls_total", "haggle_negotiations_total", "haggle_replicas"] {
        assert!(metrics.contains(name), "{name} is not in {metrics}");
    }
}

/// The totals are the sums over the services, and each horizon includes the shorter ones.
fn forecasts_add_up(server: &Server) {
    let all = eventually("both forecasts", || {
        let all = server.get("/v1/forecasts?horizons=1m,5m,15m,9h").is(200);
        if all["items"].as_array().is_some_and(|items| items.len() == 2) {
            Ok(all)
        } else {
            Err(all)
        }
    });
    let total = &all["totals"][0];
    assert_eq!(
        (&total["resource"], &total["services"]),
        (&json!("requests_per_second"), &json!(2))
    );
    assert_eq!(all["missing"], json!([]));
    let numbers = |value: &Value| -> Vec<f64> {
        value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
    };
    let whole = numbers(&total["mean"]);
    let parts: Vec<Vec<f64>> = [0, 1].map(|i| numbers(&all["items"][i]["mean"])).to_vec();
    assert_eq!(whole.len(), 15);
    for (step, sum) in whole.iter().enumerate() {
        assert!((sum - parts[0][step] - parts[1][step]).abs() < 1e-9, "{all}");
        for item in [0, 1] {
            let upper = |forecast: &Value| numbers(&forecast["intervals"][1]["upper"])[step];
            assert!(upper(total) >= upper(&all["items"][item]) && upper(total) >= *sum, "{all}");
        }
    }
    let horizons = total["horizons"].as_array().unwrap();
    let named: Vec<&Value> = horizons.iter().map(|summary| &summary["horizon"]).collect();
    assert_eq!(named, ["1m", "5m", "15m"], "nine hours are not forecast");
    for pair in horizons.windows(2) {
        let of = |i: usize, name: &str| pair[i]["intervals"][0][name].as_f64().unwrap();
        assert!(of(1, "lower") <= of(0, "lower") && of(0, "upper") <= of(1, "upper"), "{total}");
        assert!(pair[0]["peak"].as_f64() <= pair[1]["peak"].as_f64());
    }
    let front = server.get("/v1/forecasts/front?horizons=5m").is(200);
    let summary = &front["horizons"][0];
    let mean = numbers(&front["mean"])[..5].iter().sum::<f64>() / 5.0;
    assert!((summary["mean"].as_f64().unwrap() - mean).abs() < 1e-6, "{front}");
    server.get("/v1/forecasts/front?horizons=9h").is_problem(400, "reaches 15m, not 9h");
    server.get("/v1/forecasts/front?horizons=soon").is_problem(400, "\"soon\" is not a duration");
    server.get("/v1/forecasts?horizons=0s").is_problem(400, "above 0");
    server.get("/v1/forecasts?until=5m").is_problem(400, "until");
}

#[test]
fn events_are_streamed_as_they_happen() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let response = agent().get(server.url("/v1/events")).call().unwrap();
    let mut lines = BufReader::new(response.into_body().into_reader()).lines();
    server.put("/v1/services/a", &service(1)).is(201);
    let data = lines.find_map(|line| line.unwrap().strip_prefix("data:").map(str::to_owned));
    let event: Value = serde_json::from_str(&data.unwrap()).unwrap();
    assert_eq!((&event["kind"], &event["subject"]), (&json!("catalog"), &json!("a")));
}

#[test]
fn the_api_describes_itself() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let document = server.get("/openapi.json").is(200);
    for path in [
        "/v1/plugins/{name}",
        "/v1/plugins/{name}/rollback",
        "/v1/services/{name}",
        "/v1/dependencies/{from}/{to}",
        "/v1/graph",
        "/v1/providers/{name}",
        "/v1/policies/{name}",
        "/v1/samples",
        "/v1/forecasts",
        "/v1/forecasts/{service}",
        "/v1/calendar/{name}",
        "/v1/scaling-requests",
        "/v1/negotiations/{id}",
        "/v1/leases",
        "/v1/decisions",
        "/v1/events",
        "/healthz",
        "/readyz",
        "/metrics",
    ] {
        assert!(document["paths"][path].is_object(), "{path} is not described");
    }
    server.get("/healthz").is(200);
    server.get("/readyz").is(200);
}
