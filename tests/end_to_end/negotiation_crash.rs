//! `kill -9` while negotiations with a party elsewhere run at the same time: nothing is promised twice,
//! no session is stuck, no acknowledged agreement is lost.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    crash::shuffle,
    party::{Party, agreeable},
    server::{Answer, Server, agent, eventually},
};

/// How often it is killed, where `HAGGLE_KILLS` does not say.
const KILLS: u64 = 20;
const REQUESTERS: u64 = 5;
const CORES: f64 = 24.0;
/// Ten replicas that carry ten each, used to nine tenths.
const CART: f64 = 90.0;

/// What was acknowledged.
#[derive(Default)]
struct Acknowledged {
    /// The newest agreement of each requester: its leases.
    agreements: BTreeMap<String, Vec<String>>,
    /// Requests that are negotiated without anybody waiting.
    begun: Vec<String>,
    verdicts: BTreeMap<String, u64>,
}

fn describe(server: &Server, cart: &Party) {
    let put = |path: &str, document: Value| {
        let answer = server.put(path, &document);
        assert!(answer.status < 300, "{answer:?}");
    };
    let rack =
        json!({"units": [{"id": "m", "count": 3, "has": {"cpu_cores": 8}, "cost_per_hour": 1}]});
    put("/v1/providers/rack", rack);
    let replica = json!({"serves": {"requests_per_second": 10}});
    let bounds = json!({"min": 0, "max": 10});
    put(
        "/v1/services/cart",
        json!({"replica": replica, "replicas": bounds, "endpoint": cart.endpoint}),
    );
    for n in 0..REQUESTERS {
        let replica = json!({"uses": {"cpu_cores": 1}, "serves": {"requests_per_second": 10}});
        put(
            &format!("/v1/services/w{n}"),
            json!({"replica": replica, "replicas": {"min": 0, "max": 20}}),
        );
        put(
            &format!("/v1/dependencies/w{n}/cart"),
            json!({"ratios": {"requests_per_second": 0.5}}),
        );
    }
}

/// Asks until the server is gone, and notes what it acknowledged.
fn ask(url: &str, acknowledged: &Mutex<Acknowledged>, step: &AtomicU64) {
    let agent = agent();
    loop {
        let n = step.fetch_add(1, Ordering::Relaxed);
        let name = format!("w{}", shuffle(n) % REQUESTERS);
        let wanted = json!({"service": name, "replicas": 1 + shuffle(n + 7) % 9, "deadline": "5s"});
        let post = agent.post(format!("{url}/v1/scaling-requests"));
        let post = if n.is_multiple_of(3) { post.header("prefer", "respond-async") } else { post };
        let Ok(answer) = Answer::of(post.send_json(wanted)) else { return };
        let mut acknowledged = acknowledged.lock().unwrap();
        match answer.status {
            202 => acknowledged.begun.push(answer.body["negotiation"].as_str().unwrap().to_owned()),
            200 => {
                let verdict = answer.body["verdict"].as_str().unwrap().to_owned();
                *acknowledged.verdicts.entry(verdict).or_default() += 1;
                let leases = answer.body["agreement"]["leases"].as_array();
                let leases = leases.into_iter().flatten().filter_map(Value::as_str);
                let leases: Vec<String> = leases.map(str::to_owned).collect();
                if !leases.is_empty() {
                    acknowledged.agreements.insert(name, leases);
                }
            }
            _ => panic!("{answer:?}"),
        }
    }
}

#[test]
fn no_kill_breaks_an_agreement() {
    let kills = std::env::var("HAGGLE_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let cart = Party::start(agreeable);
    let acknowledged = Mutex::new(Acknowledged::default());
    let step = AtomicU64::new(0);
    for kill in 0..kills {
        let server = Server::start(&data);
        if kill == 0 {
            describe(&server, &cart);
        }
        verify(&server, &mut acknowledged.lock().unwrap());
        let url = server.url("");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| ask(&url, &acknowledged, &step));
            }
            std::thread::sleep(Duration::from_millis(20 + shuffle(kill) % 300));
            server.kill();
        });
    }
    let server = Server::start(&data);
    let mut acknowledged = acknowledged.into_inner().unwrap();
    verify(&server, &mut acknowledged);
    assert!(acknowledged.verdicts.contains_key("approved"), "{:?}", acknowledged.verdicts);
}

fn verify(server: &Server, acknowledged: &mut Acknowledged) {
    for id in std::mem::take(&mut acknowledged.begun) {
        eventually("the end of a session", || {
            let progress = server.get(&format!("/v1/scaling-requests/{id}"));
            // It may be gone with the host, before anything of it was written.
            let over = progress.status == 404 || progress.body["pending"] == false;
            if over { Ok(()) } else { Err(progress.body) }
        });
    }
    let leases = server.get("/v1/leases").is(200);
    let leases = leases["items"].as_array().unwrap();
    let (mut cores, mut cart) = (0.0, 0.0);
    for lease in leases {
        assert_eq!(lease["state"], "confirmed", "a hold outlived its session: {lease}");
        cores += lease["amounts"]["cpu_cores"].as_f64().unwrap_or(0.0);
        if lease["owner"]["service"] == "cart" {
            cart += lease["amounts"]["requests_per_second"].as_f64().unwrap_or(0.0);
        }
    }
    assert!(cores <= CORES + 1e-6, "{cores} of {CORES} cores are promised");
    assert!(cart <= CART + 1e-6, "{cart} of {CART} requests per second are promised by cart");
    // The newest agreement of each is there, or one that took its place unseen.
    for (holder, agreed) in &acknowledged.agreements {
        let kept = leases.iter().any(|lease| lease["holder"] == holder.as_str());
        assert!(kept, "{agreed:?} of {holder} is gone: {leases:?}");
    }
}
