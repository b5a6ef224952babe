use std::collections::BTreeSet;

use super::{at, name, open};
use crate::{Batch, Blob, CallRecord, Digest, JournalSize, Store, StoreOptions};

pub(super) fn call(round: u64, blobs: &[Digest]) -> CallRecord {
    CallRecord {
        sequence: round,
        at: at(round),
        plugin: name("seasonal"),
        generation: 3,
        digest: Digest::of(b"component"),
        function: "forecasting.forecast".to_owned(),
        input: vec![round as u8; 100],
        blobs: blobs.to_vec(),
        outcome: Ok(vec![1, 2, 3]),
        fuel_used: 1_000_000 + round,
    }
}

fn journal(store: &Store, call: &CallRecord, blobs: &[Blob]) -> u64 {
    let mut batch = Batch::new();
    batch.call(call, blobs).unwrap();
    store.commit_wait(batch).unwrap().sequences[0]
}

fn calls(store: &Store, from: u64) -> Vec<CallRecord> {
    store.calls(from).unwrap().map(Result::unwrap).collect()
}

#[test]
fn calls_read_back_in_order_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    {
        let store = open(dir.path());
        for round in 1..=30 {
            let mut call = call(round, &[]);
            match round % 3 {
                0 => call.input = vec![round as u8; 50_000],
                1 => call.outcome = Ok(vec![7; 10_000]),
                _ => call.outcome = Err("the policy trapped: unreachable".to_owned()),
            }
            assert_eq!(journal(&store, &call, &[]), round);
            expected.push(call);
        }
    }
    let store = open(dir.path());
    assert_eq!(calls(&store, 1), expected);
    assert_eq!(calls(&store, 12), expected[11..]);
}

#[test]
fn what_is_shared_is_kept_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let model = Blob::new(vec![9; 200_000]);
    let mut shared = call(1, &[model.digest()]);
    shared.input = vec![5; 100_000];
    journal(&store, &shared, std::slice::from_ref(&model));
    let once = store.journal_size().unwrap();
    assert!(once.bytes > 300_000);
    for _ in 0..20 {
        // The bytes need not be given again.
        journal(&store, &shared, &[]);
    }
    let size = store.journal_size().unwrap();
    assert_eq!(size.calls, 21);
    assert!(size.bytes < once.bytes + 20 * 1000, "{}", size.bytes);
    assert_eq!(store.blob(&model.digest()).unwrap().unwrap(), model.bytes());
}

#[test]
fn the_oldest_calls_go_first_and_take_their_blobs_along() {
    let dir = tempfile::tempdir().unwrap();
    let options =
        StoreOptions { journal_calls: 10, journal_bytes: 500_000, ..StoreOptions::default() };
    let store = Store::open(dir.path(), &options).unwrap();
    let kept = Blob::new(vec![1; 20_000]);
    let mut blobs = BTreeSet::new();
    for round in 1..=40_u64 {
        let own = Blob::new(vec![round as u8; 80_000]);
        blobs.insert(own.digest());
        journal(&store, &call(round, &[kept.digest(), own.digest()]), &[kept.clone(), own]);
    }
    // Retention runs before the group's own calls are added, so one more may remain.
    journal(&store, &call(41, &[]), &[]);
    let left = calls(&store, 1);
    assert!((5..=11).contains(&left.len()), "{}", left.len());
    assert_eq!(left.last().unwrap().sequence, 41);
    assert!(left.windows(2).all(|pair| pair[1].sequence == pair[0].sequence + 1));
    let size = store.journal_size().unwrap();
    assert_eq!(size.calls, left.len() as u64);
    assert!(size.bytes <= 500_000 + 1000, "{}", size.bytes);
    let referenced: BTreeSet<_> = left.iter().flat_map(|call| call.blobs.clone()).collect();
    for digest in blobs {
        assert_eq!(store.blob(&digest).unwrap().is_some(), referenced.contains(&digest));
    }
    assert!(store.blob(&kept.digest()).unwrap().is_some());
}

#[test]
fn a_journal_without_room_ends_up_empty_and_balanced() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions { journal_bytes: 0, ..StoreOptions::default() };
    let store = Store::open(dir.path(), &options).unwrap();
    let model = Blob::new(vec![9; 50_000]);
    for round in 1..=10 {
        journal(
            &store,
            &call(round, &[model.digest(), model.digest()]),
            std::slice::from_ref(&model),
        );
    }
    store
        .commit_wait({
            let mut batch = Batch::new();
            batch.append::<crate::Decisions>(&super::decision("later")).unwrap();
            batch
        })
        .unwrap();
    assert_eq!(store.journal_size(), Ok(JournalSize::default()));
    assert_eq!(store.blob(&model.digest()), Ok(None));
    assert_eq!(journal(&store, &call(11, &[]), &[]), 11);
}
