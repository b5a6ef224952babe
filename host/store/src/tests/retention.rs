//! Simulates a year of steady use: periodic pruning keeps the size constant.

use std::collections::BTreeMap;

use haggle_model::Timestamp;
use serde_json::json;

use super::{at, decision, name};
use crate::{
    Batch, CallRecord, Decisions, Durability, Negotiations, Outcome, Outcomes, Sample, SeriesKey,
    Store, StoreOptions,
};

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

/// Uses a store for a year; returns its size after each 30 days.
fn a_year(store: &Store, series: u64, commits_a_day: u64) -> Vec<u64> {
    let mut sizes = Vec::new();
    let start = 20_000 * DAY;
    for day in 0..360 {
        for part in 0..commits_a_day {
            let from = start + day * DAY + part * DAY / commits_a_day;
            store.commit_wait(facts(series, day, from, DAY / commits_a_day)).unwrap();
        }
        forget(store, at(start + (day + 1) * DAY));
        if day % 30 == 29 {
            store.flush().unwrap();
            sizes.push(store.size_on_disk().unwrap());
        }
    }
    sizes
}

/// The facts of one period: a sample of each series every five minutes, replicas that come and go, and one
/// outcome, decision, negotiation and plugin call.
fn facts(series: u64, day: u64, from: u64, length: u64) -> Batch {
    let mut batch = Batch::new();
    let replica = format!("web-{day}");
    let keys = (0..series).map(|i| ("load", format!("s{i}"))).chain([("memory", replica)]);
    for (place, (metric, instance)) in keys.enumerate() {
        let key = SeriesKey { service: name("web"), metric: metric.to_owned(), instance };
        let sample = |step: u64| {
            let noise = (from / 300_000 + step).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 12;
            Sample { at: at(from + step * 300_000), value: noise as f64 + place as f64 }
        };
        let samples: Vec<_> = (0..length / 300_000).map(sample).collect();
        batch.samples(&key, &samples).unwrap();
    }
    let mut taken = decision("the forecast rises to 250 requests per second");
    taken.at = at(from);
    batch.append::<Decisions>(&taken).unwrap();
    let outcome = Outcome {
        sequence: 0,
        at: at(from),
        instance: format!("web-{day}"),
        kind: "failure".to_owned(),
        detail: json!({"service": "web", "memory": 0.97}),
    };
    batch.append::<Outcomes>(&outcome).unwrap();
    let call = CallRecord { input: vec![day as u8; 6000], ..super::journal::call(from, &[]) };
    batch.call(&call, &[]).unwrap();
    let record = json!({"outcome": "confirmed", "at": from, "rounds": vec![json!({"a": 1}); 50]});
    batch.put::<Negotiations>(&format!("n-{from:020}"), &record).unwrap();
    batch
}

/// The daily pruning of a host.
fn forget(store: &Store, now: Timestamp) {
    let month_ago = at(now.as_millis() - 30 * DAY);
    while !store.prune_samples(month_ago).unwrap().done {}
    while !store.prune_log::<Outcomes>(u64::MAX, month_ago).unwrap().done {}
    while !store.prune_log::<Decisions>(100, at(0)).unwrap().done {}
    let keys: Vec<String> = store.keys::<Negotiations>().map(Result::unwrap).collect();
    let mut batch = Batch::new();
    for key in keys.iter().take(keys.len().saturating_sub(50)) {
        batch.delete::<Negotiations>(key).unwrap();
    }
    store.commit_wait(batch).unwrap();
}

/// Asserts that the sizes of month 12 and month 2 differ by at most this share.
fn assert_flat(sizes: &[u64], share: f64) {
    let (early, late) = (sizes[1] as f64, sizes[11] as f64);
    assert!((late - early).abs() <= early * share, "month 2: {early}, month 12: {late}; {sizes:?}");
}

fn options() -> StoreOptions {
    StoreOptions {
        durability: Durability::ProcessCrash,
        journal_calls: 100,
        ..StoreOptions::default()
    }
}

#[test]
fn a_year_in_memory_stays_flat() {
    let (memory, faults) = (crate::Memory::new(), crate::Faults::new());
    let store = Store::over(&memory, &options(), &faults).unwrap();
    let sizes = a_year(&store, 4, 24);
    assert_flat(&sizes, 0.1);
    // The remaining data is what retention keeps.
    let mut chunks = BTreeMap::new();
    for series in store.series() {
        *chunks.entry(series.unwrap().metric).or_insert(0) += 1;
    }
    assert_eq!(chunks, BTreeMap::from([("load".to_owned(), 4), ("memory".to_owned(), 30)]));
    assert_eq!(store.keys::<Negotiations>().count(), 50);
    assert_eq!(store.records::<Outcomes>(1).unwrap().count(), 30 * 24);
    assert_eq!(store.records::<Decisions>(1).unwrap().count(), 100);
}

#[test]
fn a_year_on_disk_stays_flat() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    let sizes = a_year(&store, 40, 4);
    // sled reclaims segments of half a MiB; when it does so depends on the scheduling of its own thread.
    assert_flat(&sizes, 0.25);
}
