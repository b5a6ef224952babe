mod commits;
mod damage;
mod identity;
mod journal;
mod loss;
mod outage;
mod records;
mod retention;
mod samples;
mod unreadable;

use std::path::Path;

use haggle_model::{Decision, Lease, LeaseId, Name, Timestamp};
use serde_json::json;

use crate::{Store, StoreOptions};

fn open(dir: &Path) -> Store {
    Store::open(dir, &StoreOptions::default()).unwrap()
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn decision(explanation: &str) -> Decision {
    serde_json::from_value(json!({
        "sequence": 0, "at": 1000, "service": "shop", "from": 1, "to": 3, "target": 4,
        "reason": "forecast", "load": {"requests_per_second": 250.5}, "bound": "negotiation",
        "negotiation": "n-1", "explanation": explanation,
    }))
    .unwrap()
}

fn lease(id: &str) -> Lease {
    let lease: Lease = serde_json::from_value(json!({
        "id": id, "negotiation": "n-1", "holder": "shop", "owner": {"service": "stock"},
        "amounts": {"requests_per_second": 0.1}, "replicas": 2, "price_per_hour": 0.3,
        "window": {"start": 1000, "end": 2000}, "state": "confirmed", "held_until": 1500,
    }))
    .unwrap();
    assert_eq!(lease.id, LeaseId(id.to_owned()));
    lease
}

/// Incompressible text.
fn noise(seed: usize, length: usize) -> String {
    let mut state = seed as u64;
    let mut letter = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'0' + (state >> 58) as u8)
    };
    (0..length).map(|_| letter()).collect()
}
