//! After `kill -9` at any moment, everything that was acknowledged is there, and the ledger promises no more than
//! the capacity.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use haggle_builtin::EXAMPLE;
use serde_json::{Value, json};

use crate::server::{Answer, Server, agent};

const MISBEHAVING: &[u8] = include_bytes!("../../plugins/dist/misbehaving.wasm");
const KILLS: u64 = 50;

/// What the server has acknowledged.
#[derive(Default)]
struct Acknowledged {
    /// Services and their upper bounds.
    services: BTreeMap<String, u64>,
    /// The generation of the plugin, and the component's digest.
    plugin: Option<(u64, String)>,
    /// Leases by id.
    leases: BTreeMap<String, Value>,
}

/// Pseudorandom numbers, the same in every run.
pub fn shuffle(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn service(max: u64) -> Value {
    json!({
        "replica": {"requests": {"cpu_cores": 1}, "capacity": {"requests_per_second": 10}},
        "replicas": {"min": 0, "max": max},
    })
}

/// Writes until the server is gone, and records what it acknowledged.
fn write(url: &str, acknowledged: &Mutex<Acknowledged>, step: &AtomicU64) {
    let agent = agent();
    loop {
        let n = step.fetch_add(1, Ordering::Relaxed);
        let name = format!("s{}", n % 7);
        let path = |path: &str| format!("{url}{path}");
        let done: Result<(), ureq::Error> = (|| {
            match n % 4 {
                0 => {
                    let max = 5 + n % 20;
                    // One writer at a time, so that the last acknowledged write is the newest one.
                    let mut acknowledged = acknowledged.lock().unwrap();
                    let put =
                        agent.put(path(&format!("/v1/services/{name}"))).send_json(service(max));
                    if Answer::of(put)?.status < 300 {
                        acknowledged.services.insert(name, max);
                    }
                }
                1 => {
                    let bytes = if n % 8 == 1 { EXAMPLE.bytes } else { MISBEHAVING };
                    let mut acknowledged = acknowledged.lock().unwrap();
                    let answer = Answer::of(agent.put(path("/v1/plugins/mine")).send(bytes))?;
                    if answer.status < 300 {
                        let current = &answer.body["current"];
                        let digest = current["digest"].as_str().unwrap().to_owned();
                        acknowledged.plugin =
                            Some((current["generation"].as_u64().unwrap(), digest));
                    }
                }
                _ => {
                    let ask = json!({"service": name, "replicas": n % 9});
                    let post = agent.post(path("/v1/scaling-requests")).send_json(ask);
                    let answer = Answer::of(post)?;
                    let leases = answer.body["agreement"]["leases"].as_array();
                    let mut acknowledged = acknowledged.lock().unwrap();
                    for lease in leases.into_iter().flatten().filter_map(Value::as_str) {
                        acknowledged.leases.insert(lease.to_owned(), json!(name));
                    }
                }
            }
            Ok(())
        })();
        if done.is_err() {
            return;
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_in_fifty_kills() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let acknowledged = Mutex::new(Acknowledged::default());
    let step = AtomicU64::new(0);
    let machines = 4;
    let rack = json!({"units": [{"id": "m", "count": machines, "resources": {"cpu_cores": 8}, "cost_per_hour": 1}]});
    for kill in 0..KILLS {
        let server = Server::start(&data);
        verify(&server, &acknowledged.lock().unwrap(), f64::from(machines) * 8.0);
        let put = server.put("/v1/providers/rack", &rack);
        assert!(put.status < 300, "{put:?}");
        let url = server.url("");
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| write(&url, &acknowledged, &step));
            }
            std::thread::sleep(Duration::from_millis(shuffle(kill) % 400));
            server.kill();
        });
    }
    let server = Server::start(&data);
    let acknowledged = acknowledged.into_inner().unwrap();
    verify(&server, &acknowledged, f64::from(machines) * 8.0);
    assert!(!acknowledged.services.is_empty() && acknowledged.plugin.is_some());
    assert!(!acknowledged.leases.is_empty(), "no agreement was ever acknowledged");
}

fn verify(server: &Server, acknowledged: &Acknowledged, cores: f64) {
    for (name, max) in &acknowledged.services {
        let service = server.get(&format!("/v1/services/{name}")).is(200);
        // A later write that was not acknowledged may still have become durable.
        let found = service["replicas"]["max"].as_u64().unwrap();
        assert!(found == *max || found >= 5, "{name}: {found} instead of {max}");
    }
    if let Some((generation, digest)) = &acknowledged.plugin {
        let plugin = server.get("/v1/plugins/mine").is(200);
        let found = plugin["current"]["generation"].as_u64().unwrap();
        assert!(found >= *generation, "generation {found} instead of {generation}");
        if found == *generation {
            assert_eq!(plugin["current"]["digest"], digest.as_str());
        }
    }
    let leases = server.get("/v1/leases").is(200);
    let leases = leases["items"].as_array().unwrap();
    let mut taken = 0.0;
    for lease in leases {
        assert_eq!(lease["state"], "confirmed", "a hold outlived its session: {lease}");
        taken += lease["amounts"]["cpu_cores"].as_f64().unwrap_or(0.0);
    }
    assert!(taken <= cores, "{taken} of {cores} cores are promised");
    // Every acknowledged lease is there, or its holder has another lease or wants no replicas any more.
    for (id, holder) in &acknowledged.leases {
        let held = leases.iter().any(|lease| lease["id"] == id.as_str());
        let replaced = leases.iter().any(|lease| lease["holder"] == *holder);
        let given_back = server.get(&format!("/v1/services/{}", holder.as_str().unwrap())).is(200)
            ["status"]["replicas"]["desired"]
            == 0;
        assert!(held || replaced || given_back, "lease {id} of {holder} is gone");
    }
}
