//! An unreadable record does not affect the others.

use haggle_model::Window;
use serde_json::json;

use super::{at, decision, name, noise};
use crate::{
    Batch, Decisions, Faults, Kind, Log, Memory, Negotiations, Sample, SeriesKey, Services, Store,
    StoreError, StoreOptions, Unreadable,
    engine::{Engine, MemoryEngine},
    key, readable,
};

const HOUR: u64 = 3_600_000;

fn open(memory: &Memory) -> Store {
    let options = StoreOptions { journal_calls: 5, ..StoreOptions::default() };
    Store::over(memory, &options, &Faults::new()).unwrap()
}

/// Overwrites the value at a key.
fn damage(memory: &Memory, key: Vec<u8>, value: &[u8]) {
    let engine = MemoryEngine::open(memory).unwrap();
    engine.apply(vec![(key, Some(value.to_vec()))]).unwrap();
    engine.flush().unwrap();
}

fn keys_under(memory: &Memory, tag: u8) -> Vec<Vec<u8>> {
    let engine = MemoryEngine::open(memory).unwrap();
    engine.under(&[tag]).map(|pair| pair.unwrap().0).collect()
}

fn told<T>(items: impl Iterator<Item = Result<T, StoreError>>) -> (Vec<T>, Vec<Unreadable>) {
    let mut unreadable = Vec::new();
    let read = readable(items, |u| unreadable.push(u)).map(Result::unwrap).collect();
    (read, unreadable)
}

#[test]
fn a_scan_goes_on_behind_records_that_cannot_be_decoded() {
    let memory = Memory::new();
    let store = open(&memory);
    let mut batch = Batch::new();
    for service in ["a", "b", "c", "d", "e"] {
        let value = json!({"name": service, "replica": {"capacity": {"cpu_cores": 1}}});
        let value = serde_json::from_value(value).unwrap();
        batch.put::<Services>(&name(service), &value).unwrap();
    }
    batch.put::<Negotiations>(&"n".to_owned(), &json!(noise(1, 40_000))).unwrap();
    store.commit_wait(batch).unwrap();
    drop(store);
    damage(&memory, key::of(Services::TAG, &name("b")), b"\0{\"name\": \"b\"}");
    damage(&memory, key::of(Services::TAG, &name("c")), b"");
    damage(&memory, key::of(Services::TAG, &"Not a name".to_owned()), b"\0{}");
    damage(&memory, key::of(Services::TAG, &name("e")), b"\x02\xff\xff\xff\xff");
    let page = keys_under(&memory, 0x02).pop().unwrap();
    damage(&memory, page, b"short");

    let store = open(&memory);
    let (services, unreadable) = told(store.scan::<Services>());
    let names: Vec<_> = services.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a", "d"]);
    assert_eq!(unreadable.len(), 4);
    assert!(unreadable.iter().any(|u| u.what == "service" && u.why.contains("replica")));
    assert!(unreadable.iter().all(|u| u.to_string().contains("cannot be read")));
    let (keys, unreadable) = told(store.keys::<Services>());
    assert_eq!((keys.len(), unreadable.len()), (5, 1), "values are not looked at");
    assert_eq!(told(store.scan::<Negotiations>()).1.len(), 1);
    // An unreadable record can be replaced and deleted.
    let mut batch = Batch::new();
    batch.put::<Negotiations>(&"n".to_owned(), &json!(1)).unwrap();
    batch.delete::<Services>(&name("c")).unwrap();
    store.commit_wait(batch).unwrap();
    assert_eq!(store.get::<Negotiations>(&"n".to_owned()), Ok(Some(json!(1))));
    assert_eq!(store.get::<Services>(&name("c")), Ok(None));
}

#[test]
fn logs_and_the_journal_go_on_behind_damage() {
    let memory = Memory::new();
    let store = open(&memory);
    let write = |store: &Store, round| {
        let mut batch = Batch::new();
        batch.append::<Decisions>(&decision("why")).unwrap();
        batch.call(&super::journal::call(round, &[]), &[]).unwrap();
        store.commit_wait(batch).unwrap().sequences
    };
    (1..=6).for_each(|round| assert_eq!(write(&store, round), [round, round]));
    drop(store);
    let blocks = keys_under(&memory, Decisions::TAG);
    damage(&memory, blocks[1].clone(), b"\0\0\0\0\x09short");
    // A block with one invalid record.
    damage(&memory, blocks[3].clone(), b"\0\0\0\0\x02{}");
    let calls = keys_under(&memory, 0x22);
    damage(&memory, calls[0].clone(), b"\0\0\0\0\x02\x01\xff");
    damage(&memory, calls[1].clone(), b"\x09");
    // The next numbers of the logs and the totals of the journal.
    for tag in [0x03, 0x25] {
        for key in keys_under(&memory, tag) {
            damage(&memory, key, b"\0\xff");
        }
    }
    let store = open(&memory);
    assert_eq!(store.last_number::<Decisions>(), 6, "numbers are not given again");
    let (decisions, unreadable) = told(store.records::<Decisions>(1).unwrap());
    let numbers: Vec<_> = decisions.iter().map(|decision| decision.sequence).collect();
    assert_eq!((numbers, unreadable.len()), (vec![1, 3, 5, 6], 2));
    let (calls, unreadable) = told(store.calls(1).unwrap());
    assert_eq!(calls.len() + unreadable.len(), 5, "the first is forgotten already");
    assert!(unreadable.len() == 2 && unreadable[0].what == "journalled call");
    // The journal drops its oldest calls, damaged or not.
    (7..=20).for_each(|round| assert_eq!(write(&store, round), [round, round]));
    let (calls, unreadable) = told(store.calls(1).unwrap());
    assert!(unreadable.is_empty() && calls.len() <= 7, "{} and {unreadable:?}", calls.len());
    let pruned = store.prune_log::<Decisions>(3, at(0)).unwrap();
    assert!(pruned.done && pruned.removed > 10);
    assert!(told(store.records::<Decisions>(1).unwrap()).1.is_empty());
}

#[test]
fn an_hour_of_samples_that_cannot_be_read_is_left_out_and_replaced() {
    let memory = Memory::new();
    let store = open(&memory);
    let series = |instance: &str| SeriesKey {
        service: name("shop"),
        metric: "load".to_owned(),
        instance: instance.to_owned(),
    };
    let whole = Window { start: at(0), end: at(u64::MAX) };
    let sample = |hour: u64| Sample { at: at(hour * HOUR), value: hour as f64 };
    let add = |store: &Store, instance: &str, hours: std::ops::Range<u64>| {
        let mut batch = Batch::new();
        batch.samples(&series(instance), &hours.map(sample).collect::<Vec<_>>()).unwrap();
        store.commit_wait(batch).unwrap();
    };
    add(&store, "a", 0..4);
    add(&store, "b", 0..4);
    drop(store);
    let chunks = keys_under(&memory, 0x30);
    damage(&memory, chunks[1].clone(), b"\0\x07");
    let mut key = key::of(0x30, &"Not a name".to_owned());
    key.extend_from_slice(b"aa");
    damage(&memory, key, b"");
    let store = open(&memory);
    let (found, unreadable) = told(store.series());
    assert_eq!(found, [series("a"), series("b")]);
    assert_eq!(unreadable.len(), 1);
    let (chunks, unreadable) = told(store.sample_chunks(&series("a"), whole).unwrap());
    assert_eq!(chunks.concat(), [sample(0), sample(2), sample(3)]);
    assert_eq!(unreadable.len(), 1);
    assert!(matches!(store.samples(&series("a"), whole), Err(StoreError::Unreadable(_))));
    add(&store, "a", 1..2);
    assert_eq!(store.samples(&series("a"), whole).unwrap().len(), 4);
}
