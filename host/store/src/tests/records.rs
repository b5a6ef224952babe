use std::fs;

use haggle_model::LeaseId;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{at, decision, lease, name, noise, open};
use crate::{
    Batch, Calendar, Decisions, Dependencies, Digest, FittedModel, GenerationStatus, Kind, Leases,
    Log, Models, Negotiations, Outcome, Outcomes, PluginGeneration, Plugins, Policies, Providers,
    Services, StoreError, engine::open_patiently,
};

fn generation(number: u64) -> PluginGeneration {
    PluginGeneration {
        plugin: name("seasonal"),
        generation: number,
        digest: Digest::of(b"component"),
        size: 9,
        loaded_at: at(7),
        roles: vec!["forecasting".to_owned()],
        configuration: json!({"season": 24, "levels": [0.8, 0.95]}),
        status: GenerationStatus::Previous,
        granted: vec![],
    }
}

#[test]
fn every_kind_reads_back_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let service = serde_json::from_value(
        json!({"name": "shop", "replica": {"capacity": {"requests_per_second": 100}}}),
    )
    .unwrap();
    let dependency =
        serde_json::from_value(json!({"ratios": {"requests_per_second": 1.5}})).unwrap();
    let provider = serde_json::from_value(json!({
        "name": "rack", "units": [{"id": "small", "resources": {"cpu_cores": 4}, "cost_per_hour": 0.1}],
    }))
    .unwrap();
    let policy = haggle_model::ScalingPolicy::default();
    let model = FittedModel {
        fitted_at: at(5),
        model: vec![0, 255, 3],
        shared: Some(Digest::of(b"forest")),
        lookback: Some(24),
    };
    let model_key = (Digest::of(b"component"), "shop/rps".to_owned());
    let event = haggle_model::CalendarEvent {
        name: name("sale"),
        event: haggle_model::EventKind::Campaign,
        services: vec![name("shop")],
        times: vec![haggle_model::EventTime { start: at(5), end: Some(at(9)), duration: None }],
    };
    let negotiation = json!({"rounds": [{"asked": 3.5}], "state": "confirmed"});
    let mut batch = Batch::new();
    batch.put::<Services>(&name("shop"), &service).unwrap();
    batch.put::<Dependencies>(&(name("shop"), name("stock")), &dependency).unwrap();
    batch.put::<Providers>(&name("rack"), &provider).unwrap();
    batch.put::<Policies>(&policy.name, &policy).unwrap();
    batch.put::<Plugins>(&(name("seasonal"), 2), &generation(2)).unwrap();
    batch.put::<Models>(&model_key, &model).unwrap();
    batch.put::<Leases>(&LeaseId("l-1".to_owned()), &lease("l-1")).unwrap();
    batch.put::<Negotiations>(&"n-1".to_owned(), &negotiation).unwrap();
    batch.put::<Calendar>(&event.name, &event).unwrap();
    batch.append::<Decisions>(&decision("more load")).unwrap();
    let outcome = Outcome {
        sequence: 0,
        at: at(9),
        instance: "shop-1".to_owned(),
        kind: "failure".to_owned(),
        detail: json!({"memory": 0.99}),
    };
    batch.append::<Outcomes>(&outcome).unwrap();
    {
        let store = open(dir.path());
        assert_eq!(store.commit_wait(batch).unwrap().sequences, [1, 1]);
    }
    let store = open(dir.path());
    assert_eq!(store.get::<Services>(&name("shop")), Ok(Some(service)));
    assert_eq!(store.get::<Services>(&name("stock")), Ok(None));
    let dependencies: Vec<_> = store.scan::<Dependencies>().map(Result::unwrap).collect();
    assert_eq!(dependencies, [((name("shop"), name("stock")), dependency)]);
    assert_eq!(store.get::<Providers>(&name("rack")), Ok(Some(provider)));
    assert_eq!(store.get::<Policies>(&policy.name), Ok(Some(policy)));
    assert_eq!(store.get::<Plugins>(&(name("seasonal"), 2)), Ok(Some(generation(2))));
    assert_eq!(store.get::<Models>(&model_key), Ok(Some(model)));
    assert_eq!(store.get::<Leases>(&LeaseId("l-1".to_owned())), Ok(Some(lease("l-1"))));
    assert_eq!(store.get::<Negotiations>(&"n-1".to_owned()), Ok(Some(negotiation)));
    assert_eq!(store.get::<Calendar>(&name("sale")), Ok(Some(event)));
    let mut expected = decision("more load");
    expected.sequence = 1;
    assert_eq!(store.after::<Decisions>(0, 9), Ok(vec![expected]));
    assert_eq!(store.after::<Outcomes>(0, 9), Ok(vec![Outcome { sequence: 1, ..outcome }]));
}

#[test]
fn no_two_kinds_share_a_tag() {
    let tags = [
        Services::TAG,
        Dependencies::TAG,
        Providers::TAG,
        Policies::TAG,
        Plugins::TAG,
        Models::TAG,
        Leases::TAG,
        Negotiations::TAG,
        Calendar::TAG,
        Decisions::TAG,
        Outcomes::TAG,
        // The schema, pages, logs, sequences, the journal and the samples.
        0x01,
        0x02,
        0x03,
        0x04,
        0x22,
        0x23,
        0x24,
        0x25,
        0x30,
    ];
    let distinct: std::collections::BTreeSet<_> = tags.iter().collect();
    assert_eq!(distinct.len(), tags.len());
}

#[test]
fn a_later_write_of_a_batch_or_a_group_wins() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let key = "n".to_owned();
    let put = |value: i32| {
        let mut batch = Batch::new();
        batch.put::<Negotiations>(&key, &json!("first")).unwrap();
        batch.delete::<Negotiations>(&key).unwrap();
        batch.put::<Negotiations>(&key, &json!(value)).unwrap();
        store.commit(batch)
    };
    let commits: Vec<_> = (0..200).map(put).collect();
    for commit in commits {
        commit.wait().unwrap();
    }
    assert_eq!(store.get::<Negotiations>(&key), Ok(Some(json!(199))));
    let mut batch = Batch::new();
    batch.delete::<Negotiations>(&key).unwrap();
    store.commit_wait(batch).unwrap();
    assert_eq!(store.get::<Negotiations>(&key), Ok(None));
    assert_eq!(store.scan::<Negotiations>().count(), 0);
}

#[test]
fn large_values_are_replaced_and_deleted_without_a_trace() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let key = (Digest::of(b"p"), "panel".to_owned());
    let mut batch = Batch::new();
    batch
        .put::<Services>(
            &name("shop"),
            &serde_json::from_value(json!({"name": "shop", "replica": {"capacity": {}}})).unwrap(),
        )
        .unwrap();
    store.commit_wait(batch).unwrap();
    for round in 0..60_usize {
        let model = noise(round, 100_000 + 50_000 * (round % 7)).into_bytes();
        let mut batch = Batch::new();
        let value = FittedModel::alone(at(round as u64), model);
        batch.put::<Models>(&key, &value).unwrap();
        store.commit_wait(batch).unwrap();
        assert_eq!(store.get::<Models>(&key), Ok(Some(value)));
    }
    let mut batch = Batch::new();
    batch.delete::<Models>(&key).unwrap();
    store.commit_wait(batch).unwrap();
    drop(store);
    // sled puts a page above 128 KiB into a separate file and may never delete it.
    assert_eq!(fs::read_dir(dir.path().join("state/blobs")).unwrap().count(), 0);
    let state = dir.path().join("state");
    let db = open_patiently(&sled::Config::new().path(&state), &state).unwrap();
    assert_eq!(db.iter().count(), 3, "the schema, the number of the last write and the service");
}

#[test]
fn a_large_value_is_read_whole_while_it_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let key = "n".to_owned();
    let put = |round: usize| {
        let mut batch = Batch::new();
        batch.put::<Negotiations>(&key, &noise(round, 20_000).into()).unwrap();
        store.commit(batch)
    };
    put(0).wait().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| (0..100).for_each(|round| drop(put(round % 10).wait().unwrap())));
        for _ in 0..300 {
            let Some(Value::String(text)) = store.get::<Negotiations>(&key).unwrap() else {
                panic!("gone")
            };
            assert!((0..10).any(|round| text == noise(round, 20_000)));
        }
    });
}

#[test]
fn what_is_too_large_is_refused_and_says_so() {
    let mut batch = Batch::new();
    let model = FittedModel::alone(at(0), vec![0; Models::MAX_BYTES + 1]);
    let key = (Digest::of(b"p"), "panel".to_owned());
    let error = batch.put::<Models>(&key, &model).unwrap_err();
    assert!(error.to_string().contains("fitted model") && error.to_string().contains("panel"));
    let key = "x".repeat(1000);
    assert!(matches!(
        batch.put::<Negotiations>(&key, &json!(1)),
        Err(StoreError::KeyTooLong { what: "negotiation", .. })
    ));
    assert!(batch.is_empty());
}

#[test]
fn a_log_pages_and_truncates() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let append = |count: usize| {
        let mut batch = Batch::new();
        for _ in 0..count {
            // Some are large, up to several pages.
            batch.append::<Decisions>(&decision(&noise(count, count * 700))).unwrap();
        }
        store.commit_wait(batch).unwrap().sequences
    };
    let sequences: Vec<u64> = (1..=20).flat_map(append).collect();
    assert_eq!(sequences, (1..=210).collect::<Vec<_>>());
    assert_eq!(store.last_number::<Decisions>(), 210);
    let numbers = |after, limit| -> Vec<u64> {
        store.after::<Decisions>(after, limit).unwrap().iter().map(|d| d.sequence).collect()
    };
    for after in [0, 1, 57, 209, 210, 211, u64::MAX] {
        let expected: Vec<u64> = (1..=210).filter(|n| *n > after).take(13).collect();
        assert_eq!(numbers(after, 13), expected, "after {after}");
    }
    let mut batch = Batch::new();
    batch.truncate::<Decisions>(100);
    store.commit_wait(batch).unwrap();
    let left = numbers(0, 1000);
    assert!(left[0] > 90 && left[0] <= 100, "{}", left[0]);
    assert_eq!(left, (left[0]..=210).collect::<Vec<_>>());
    let mut batch = Batch::new();
    batch.truncate::<Decisions>(u64::MAX);
    store.commit_wait(batch).unwrap();
    drop(store);
    assert_eq!(open(dir.path()).last_number::<Decisions>(), 210);
}

#[test]
fn numbers_are_given_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut given = Vec::new();
    for _ in 0..3 {
        let store = open(dir.path());
        given.extend((0..1500).map(|_| store.allocate("lease").unwrap()));
        assert!(store.allocate("negotiation").unwrap() <= 3);
    }
    assert_eq!(given, (1..=4500).collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn a_scan_follows_the_order_of_the_keys(
        keys in prop::collection::btree_map("[a-c\0/]{0,4}", any::<i32>(), 0..40),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let mut batch = Batch::new();
        for (key, value) in &keys {
            batch.put::<Negotiations>(key, &json!(value)).unwrap();
        }
        store.commit_wait(batch).unwrap();
        let found: Vec<_> = store.scan::<Negotiations>().map(Result::unwrap).collect();
        let expected: Vec<_> = keys.into_iter().map(|(k, v)| (k, json!(v))).collect();
        prop_assert_eq!(found, expected);
    }
}
