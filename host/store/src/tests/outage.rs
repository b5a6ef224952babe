//! Writes fail, and work again.

use std::thread;

use proptest::prelude::*;

use super::{decision, journal::call};
use crate::{
    Batch, Chain, Commit, Decisions, Digest, Faults, Memory, Negotiations, Store, StoreError,
    StoreOptions,
};

fn one_decision() -> Batch {
    let mut batch = Batch::new();
    batch.append::<Decisions>(&decision("why")).unwrap();
    batch
}

fn over(memory: &Memory, faults: &Faults) -> Store {
    Store::over(memory, &StoreOptions::default(), faults).unwrap()
}

/// Commits until a commit is accepted.
fn commit_patiently(store: &Store) -> Vec<u64> {
    loop {
        match store.commit_wait(one_decision()) {
            Ok(receipt) => return receipt.sequences,
            Err(error) => assert!(error.is_temporary(), "{error}"),
        }
        thread::yield_now();
    }
}

#[test]
fn a_failed_flush_fails_the_whole_group_and_all_that_follows_until_it_works_again() {
    let (memory, faults) = (Memory::new(), Faults::new());
    let store = over(&memory, &faults);
    store.commit_wait(one_decision()).unwrap();
    faults.fail_flush(1);
    faults.hold_flushes();
    // The first batch is being flushed; the others wait for the next group.
    let first = store.commit(one_decision());
    faults.wait_for_held_flush();
    let group: Vec<_> = (0..10).map(|_| store.commit(one_decision())).collect();
    faults.release_flushes();
    for commit in [first].into_iter().chain(group) {
        assert!(matches!(commit.wait(), Err(StoreError::Full { .. })));
    }
    assert!(matches!(store.commit_lazy(one_decision()), Err(StoreError::Full { .. })));
    assert!(store.trouble().unwrap().to_string().contains("the disk is full"));
    assert_eq!(store.last_number::<Decisions>(), 1, "nothing of it is shown");
    assert_eq!(store.records::<Decisions>(0).unwrap().count(), 1, "and reads go on");
    faults.heal();
    assert_eq!(commit_patiently(&store), [2]);
    assert_eq!(store.trouble(), None);
    drop(store);
    assert_eq!(over(&memory, &Faults::new()).records::<Decisions>(0).unwrap().count(), 2);
}

#[test]
fn what_was_refused_has_not_happened() {
    let (memory, faults) = (Memory::new(), Faults::new());
    let store = over(&memory, &faults);
    faults.fail_flush(1);
    let mut batch = Batch::new();
    batch.put::<Negotiations>(&"n".to_owned(), &1.into()).unwrap();
    assert!(store.commit_wait(batch).is_err());
    assert_eq!(store.get::<Negotiations>(&"n".to_owned()), Ok(None));
}

#[test]
fn what_reached_the_disk_although_the_flush_failed_has_happened() {
    let (memory, faults) = (Memory::new(), Faults::new());
    let store = over(&memory, &faults);
    faults.land_failed_flushes();
    faults.fail_flush(1);
    // The reopened engine cannot make it durable yet.
    let commit = store.commit(one_decision());
    while store.trouble().is_none() {
        thread::yield_now();
    }
    faults.heal();
    assert_eq!(commit.wait().unwrap().sequences, [1]);
    assert_eq!(commit_patiently(&store), [2]);
    faults.fail_flush_once();
    faults.land_failed_flushes();
    assert_eq!(store.commit_wait(one_decision()).unwrap().sequences, [3]);
    drop(store);
    assert_eq!(over(&memory, &Faults::new()).records::<Decisions>(0).unwrap().count(), 3);
}

#[test]
fn an_engine_that_cannot_be_opened_again_is_tried_until_it_can() {
    let (memory, faults) = (Memory::new(), Faults::new());
    let store = over(&memory, &faults);
    store.commit_wait(one_decision()).unwrap();
    faults.fail_apply(1);
    faults.fail_reopen();
    // The outcome is unknown until the engine is open.
    let undecided = store.commit(one_decision());
    while store.trouble().is_none() {
        thread::yield_now();
    }
    assert!(matches!(store.commit_wait(one_decision()), Err(StoreError::Full { .. })));
    faults.heal();
    assert!(matches!(undecided.wait(), Err(StoreError::Full { action: "write", .. })));
    assert_eq!(commit_patiently(&store), [2]);
}

#[test]
fn a_store_closes_while_nothing_can_be_written() {
    let (memory, faults) = (Memory::new(), Faults::new());
    let store = over(&memory, &faults);
    store.allocate("n").unwrap();
    faults.fail_flush(1);
    assert!(store.commit_wait(one_decision()).is_err());
    drop(store);
    assert_eq!(over(&memory, &Faults::new()).last_number::<Decisions>(), 0);
}

#[test]
fn a_failed_write_on_disk_is_recovered_from_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Faults::new();
    let store = Store::open_failing(dir.path(), &StoreOptions::default(), &faults).unwrap();
    for round in 0..5 {
        faults.fail_apply(2);
        assert_eq!(store.commit_wait(one_decision()).unwrap().sequences, [round + 1]);
        assert!(matches!(
            store.commit_wait(one_decision()),
            Err(StoreError::Full { action: "write", .. })
        ));
        assert_eq!(store.records::<Decisions>(0).unwrap().count() as u64, round + 1);
        faults.heal();
        // The number of a refused record is reused.
        while store.trouble().is_some() {
            thread::yield_now();
        }
    }
    drop(store);
    assert_eq!(super::open(dir.path()).last_number::<Decisions>(), 5);
}

#[derive(Clone, Debug)]
enum Step {
    Commit,
    Lazy,
    FailApply(u64),
    FailFlush(u64),
    FailOnce,
    Land,
    Shut,
    Heal,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => Just(Step::Commit),
        2 => Just(Step::Lazy),
        1 => (1..4_u64).prop_map(Step::FailApply),
        1 => (1..4_u64).prop_map(Step::FailFlush),
        1 => Just(Step::FailOnce),
        1 => Just(Step::Land),
        1 => Just(Step::Shut),
        3 => Just(Step::Heal),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..40)
}

/// The outcome of a numbered write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    There,
    Gone,
    /// A crash may undo it, or its outcome is unknown.
    Either,
}

fn hear(waiting: &mut Vec<(usize, Commit)>, fates: &mut [Fate]) {
    for (n, commit) in waiting.drain(..) {
        fates[n] = match commit.wait() {
            Ok(_) => Fate::There,
            Err(StoreError::Closed) => Fate::Either,
            Err(_) => Fate::Gone,
        };
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Under any faults, acknowledged writes are present and refused writes are not.
    #[test]
    fn acknowledged_is_there_and_refused_is_not(steps in steps()) {
        let memory = Memory::new();
        let mut faults = Faults::new();
        // Whether a commit may wait until the faults end.
        let mut shut = false;
        let mut store = over(&memory, &faults);
        let (mut fates, mut waiting) = (Vec::new(), Vec::new());
        for step in steps {
            let key = format!("n-{:03}", fates.len());
            let mut batch = Batch::new();
            batch.put::<Negotiations>(&key, &1.into()).unwrap();
            // Mostly one by one, so that each batch forms its own group.
            if !matches!(step, Step::Commit | Step::Lazy) && !shut {
                hear(&mut waiting, &mut fates);
            }
            match step {
                Step::Commit => {
                    waiting.push((fates.len(), store.commit(batch)));
                    fates.push(Fate::Either);
                }
                Step::Lazy => fates.push(match store.commit_lazy(batch) {
                    Ok(()) => Fate::Either,
                    Err(_) => Fate::Gone,
                }),
                Step::FailApply(nth) => faults.fail_apply(nth),
                Step::FailFlush(nth) => faults.fail_flush(nth),
                Step::FailOnce => faults.fail_flush_once(),
                Step::Land => {
                    shut = true;
                    faults.land_failed_flushes();
                }
                Step::Shut => {
                    shut = true;
                    faults.fail_reopen();
                }
                Step::Heal => {
                    shut = false;
                    faults.heal();
                }
                Step::Restart => {
                    drop(store);
                    hear(&mut waiting, &mut fates);
                    (faults, shut) = (Faults::new(), false);
                    store = over(&memory, &faults);
                }
            }
        }
        faults.heal();
        commit_patiently(&store);
        hear(&mut waiting, &mut fates);
        for restarted in [false, true] {
            if restarted {
                drop(store);
                store = over(&memory, &Faults::new());
            }
            for (n, fate) in fates.iter().enumerate() {
                let found = store.get::<Negotiations>(&format!("n-{n:03}")).unwrap().is_some();
                let expected = if found { Fate::There } else { Fate::Gone };
                prop_assert!(*fate == Fate::Either || *fate == expected, "{n}: {fate:?}, {found}");
            }
        }
    }
}

#[test]
fn after_a_failure_the_rest_of_a_chain_fails_even_if_the_store_writes_again() {
    let (memory, faults) = (Memory::new(), Faults::new());
    let store = over(&memory, &faults);
    let chain = Chain::new();
    store.commit_in(&chain, one_decision()).wait().unwrap();
    faults.fail_flush(1);
    let failed = store.commit_in(&chain, one_decision()).wait().unwrap_err();
    faults.heal();
    assert_eq!(commit_patiently(&store), [2]);
    // Its author has not heard of the failure yet.
    assert_eq!(store.commit_in(&chain, one_decision()).wait(), Err(failed.clone()));
    assert_eq!(chain.error(), Some(failed));
    assert_eq!(store.commit_in(&Chain::new(), one_decision()).wait().unwrap().sequences, [3]);
    assert_eq!(store.records::<Decisions>(0).unwrap().count(), 3);
}

#[test]
fn a_batch_that_fails_by_itself_takes_the_rest_of_its_chain_with_it() {
    let (memory, faults) = (Memory::new(), Faults::new());
    let store = over(&memory, &faults);
    store.commit_wait(one_decision()).unwrap();
    faults.hold_flushes();
    let first = store.commit(one_decision());
    faults.wait_for_held_flush();
    // These wait for the next group together.
    let chain = Chain::new();
    let before = store.commit_in(&chain, one_decision());
    let mut without_its_blob = Batch::new();
    without_its_blob.call(&call(1, &[Digest::of(b"missing")]), &[]).unwrap();
    let broken = store.commit_in(&chain, without_its_blob);
    let after = store.commit_in(&chain, one_decision());
    let other = store.commit(one_decision());
    faults.release_flushes();
    first.wait().unwrap();
    assert_eq!(before.wait().unwrap().sequences, [3]);
    let error = broken.wait().unwrap_err();
    assert!(matches!(error, StoreError::MissingBlob(_)), "{error}");
    assert_eq!(after.wait(), Err(error));
    assert_eq!(other.wait().unwrap().sequences, [4]);
}
