use serde_json::{Value, json};

use crate::server::{Server, eventually};

const MINUTE: u64 = 60_000;

/// The beginning of the present minute.
fn this_minute() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap() / MINUTE * MINUTE
}

/// The mean of some steps of a forecast, which are named by the minutes from `now`.
fn mean(forecast: &Value, now: u64, minutes: std::ops::Range<u64>) -> f64 {
    let start = forecast["start"].as_str().unwrap().parse::<haggle_model::Timestamp>().unwrap();
    let values = forecast["mean"].as_array().unwrap();
    let of_minute = |minute: u64| {
        let place = (now + minute * MINUTE - start.as_millis()) / MINUTE;
        values[usize::try_from(place).unwrap()].as_f64().unwrap()
    };
    minutes.clone().map(of_minute).sum::<f64>() / (minutes.end - minutes.start) as f64
}

#[test]
fn a_campaign_ahead_is_expected_as_those_before_were() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data);
    let policy =
        json!({"forecasting": {"plugin": "decomposition", "history": "12h", "horizon": "1h"}});
    server.put("/v1/policies/default", &policy).is(200);
    let service = json!({"replica": {"capacity": {"requests_per_second": 1000}}});
    server.put("/v1/services/called", &service).is(201);
    server.put("/v1/services/other", &service).is(201);

    // Both services have the same load, but the calendar explains the peaks of only one of them.
    let now = this_minute();
    let before: Vec<u64> = [690, 520, 400, 290, 170, 75].map(|ago| now - ago * MINUTE).to_vec();
    let length = 20 * MINUTE;
    let ahead = now + 20 * MINUTE;
    let times: Vec<Value> = before
        .iter()
        .chain([&ahead])
        .map(|start| json!({"start": start, "duration": format!("{length}ms")}))
        .collect();
    let campaign = json!({"event": "campaign", "services": ["called"], "times": times});
    server.put("/v1/calendar/sale", &campaign).is(201);
    let load = |time: u64| {
        let sold = before.iter().any(|start| (*start..start + length).contains(&time));
        100.0 + (time / MINUTE % 7) as f64 + if sold { 300.0 } else { 0.0 }
    };
    let sample =
        |service: &str, time: u64| json!({"service": service, "time": time, "value": load(time)});
    let samples: Vec<Value> = (1..=720)
        .rev()
        .map(|ago| now - ago * MINUTE)
        .flat_map(|time| [sample("called", time), sample("other", time)])
        .collect();
    server.post("/v1/samples", &json!({"samples": samples})).is(202);

    let forecast = |service: &str, expected: &dyn Fn(f64) -> bool| {
        eventually("the forecast", || {
            let answer = server.get(&format!("/v1/forecasts/{service}"));
            if answer.status != 200 {
                return Err(answer.body);
            }
            let during = mean(&answer.body, now, 21..39);
            if expected(during) { Ok(answer.body) } else { Err(answer.body) }
        })
    };
    let called = forecast("called", &|during| during > 350.0);
    assert!(mean(&called, now, 5..18) < 200.0, "before the campaign: {called}");
    assert!(mean(&called, now, 43..55) < 200.0, "after the campaign: {called}");
    forecast("other", &|during| during < 250.0);

    // A campaign that was removed is no longer expected, and the acknowledged change survives a crash.
    let campaign = json!({"event": "campaign", "services": ["called"], "times": &times[..6]});
    server.put("/v1/calendar/sale", &campaign).is(200);
    forecast("called", &|during| during < 200.0);
    server.kill();
    let server = Server::start(&data);
    let kept = server.get("/v1/calendar/sale").is(200);
    assert_eq!(kept["times"].as_array().unwrap().len(), 6);
    server.delete("/v1/calendar/sale").is(204);
    server.get("/v1/calendar/sale").is_problem(404, "sale");
}
