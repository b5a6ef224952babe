//! `kill -9` while negotiations with a party elsewhere run at the same time: nothing is promised twice,
//! no session is stuck, no acknowledged agreement is lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use haggle_model::Timestamp;
use serde_json::{Value, json};

use crate::{
    crash::shuffle,
    party::{Party, agreeable},
    server::{Answer, Server, agent, eventually},
};

/// How often the host is killed, unless `HAGGLE_KILLS` is set.
const KILLS: u64 = 20;
const REQUESTERS: u64 = 5;
const CORES: f64 = 24.0;
/// The load of ten replicas that carry ten each, at a utilization of nine tenths.
const CART: f64 = 90.0;

/// What was acknowledged.
#[derive(Default)]
struct Acknowledged {
    /// The leases of the negotiations whose agreement was acknowledged.
    agreements: BTreeMap<String, BTreeSet<String>>,
    /// Requests whose senders do not wait for the verdict.
    begun: Vec<String>,
    verdicts: BTreeMap<String, u64>,
    /// The records of all agreements so far, by requester.
    recorded: BTreeMap<String, Vec<Recorded>>,
    /// The last negotiation that was looked up.
    last: u64,
}

/// The record of an agreement.
struct Recorded {
    /// When its negotiation began and when it was concluded; the agreement was made in between.
    began: Timestamp,
    concluded: Timestamp,
    leases: BTreeSet<String>,
}

fn describe(server: &Server, cart: &Party) {
    let put = |path: &str, document: Value| {
        let answer = server.put(path, &document);
        assert!(answer.status < 300, "{answer:?}");
    };
    let rack = json!({"units": [{"id": "m", "count": 3, "resources": {"cpu_cores": 8}, "cost_per_hour": 1}]});
    put("/v1/providers/rack", rack);
    let replica = json!({"capacity": {"requests_per_second": 10}});
    let bounds = json!({"min": 0, "max": 10});
    put(
        "/v1/services/cart",
        json!({"replica": replica, "replicas": bounds, "endpoint": cart.endpoint}),
    );
    for n in 0..REQUESTERS {
        let replica =
            json!({"requests": {"cpu_cores": 1}, "capacity": {"requests_per_second": 10}});
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

/// Sends requests until the server is gone, and records what it acknowledged.
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
                if let Some(agreed) = answer.body["agreement"].as_object() {
                    let id = answer.body["negotiation"].as_str().unwrap().to_owned();
                    acknowledged.agreements.insert(id, leases(&agreed["leases"]));
                }
            }
            _ => panic!("{answer:?}"),
        }
    }
}

fn time(text: &Value) -> Timestamp {
    serde_json::from_value(text.clone()).unwrap()
}

fn contains(window: &Value, at: Timestamp) -> bool {
    time(&window["start"]) <= at && at < time(&window["end"])
}

fn leases(ids: &Value) -> BTreeSet<String> {
    ids.as_array().into_iter().flatten().map(|id| id.as_str().unwrap().to_owned()).collect()
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
            let over = progress.is(200);
            if over["pending"] == false { Ok(()) } else { Err(over) }
        });
    }
    // The host also negotiates by itself, so the records and the leases must be read at the same moment.
    let leases = eventually("a moment without a negotiation", || {
        let before = server.get("/v1/leases").is(200);
        look_up(server, acknowledged);
        let after = server.get("/v1/leases").is(200);
        if before == after { Ok(after) } else { Err(after) }
    });
    let leases = leases["items"].as_array().unwrap();
    for lease in leases {
        assert_eq!(lease["state"], "confirmed", "a hold outlived its session: {lease}");
    }
    // A lease may begin when another ends, so the highest sum at any moment counts.
    let moments = leases.iter().map(|lease| time(&lease["window"]["start"]));
    for at in moments {
        let there = || leases.iter().filter(|lease| contains(&lease["window"], at));
        let sum = |of: &mut dyn Iterator<Item = &Value>, resource: &str| -> f64 {
            of.map(|lease| lease["amounts"][resource].as_f64().unwrap_or(0.0)).sum()
        };
        let cores = sum(&mut there(), "cpu_cores");
        let promises = |lease: &&Value| lease["owner"]["service"] == "cart";
        let cart = sum(&mut there().filter(promises), "requests_per_second");
        assert!(cores <= CORES + 1e-6, "{cores} of {CORES} cores are promised: {leases:#?}");
        assert!(
            cart <= CART + 1e-6,
            "{cart} of {CART} requests per second are promised: {leases:#?}"
        );
    }
    for (holder, agreements) in &acknowledged.recorded {
        let held = leases.iter().filter(|lease| lease["holder"] == holder.as_str());
        let held: BTreeSet<String> =
            held.map(|lease| lease["id"].as_str().unwrap().to_owned()).collect();
        // A holder has exactly the leases of its last agreement. If negotiations overlapped, that is any one that
        // was concluded after the newest began, because it has replaced the others.
        let newest = agreements.iter().map(|agreed| agreed.began).max().unwrap();
        let last = agreements.iter().filter(|agreed| agreed.concluded >= newest);
        let last: Vec<&BTreeSet<String>> = last.map(|agreed| &agreed.leases).collect();
        let stands = last.iter().any(|agreed| **agreed == held);
        assert!(stands, "{holder} holds {held:?}, and has agreed on {last:?}: {leases:#?}");
    }
}

/// Looks up the results of all negotiations since the last call.
fn look_up(server: &Server, acknowledged: &mut Acknowledged) {
    // The number of this negotiation is above those of all earlier ones.
    let probe = json!({"service": "cart", "replicas": 1, "dry_run": true});
    let probe = server.post("/v1/scaling-requests", &probe).is(200);
    let (host, number) = probe["negotiation"].as_str().unwrap().rsplit_once('-').unwrap();
    let number: u64 = number.parse().unwrap();
    for n in acknowledged.last + 1..number {
        let id = format!("{host}-{n:012}");
        let record = server.get(&format!("/v1/negotiations/{id}"));
        let known = acknowledged.agreements.remove(&id);
        // Numbers are reserved in advance, so some belong to no negotiation.
        if record.status == 404 && known.is_none() {
            continue;
        }
        let record = record.is(200);
        let agreed = &record["verdict"]["agreement"];
        let recorded = leases(&agreed["leases"]);
        if let Some(known) = known {
            assert!(agreed.is_object() && recorded == known, "{known:?} of {id}: {record}");
        }
        if agreed.is_object() {
            let recorded = Recorded {
                began: time(&record["demand"]["started_at"]),
                concluded: time(&record["at"]),
                leases: recorded,
            };
            let holder = record["demand"]["requester"].as_str().unwrap().to_owned();
            acknowledged.recorded.entry(holder).or_default().push(recorded);
        }
    }
    acknowledged.last = number;
    assert!(acknowledged.agreements.is_empty(), "not on record: {:?}", acknowledged.agreements);
}
