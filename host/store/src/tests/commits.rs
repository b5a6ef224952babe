use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use serde_json::json;

use super::{decision, open};
use crate::{Batch, Decisions, Faults, Memory, Negotiations, Store, StoreError, StoreOptions};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

fn one_decision() -> Batch {
    let mut batch = Batch::new();
    batch.append::<Decisions>(&decision("why")).unwrap();
    batch
}

#[test]
fn a_commit_is_a_future() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for expected in 1..=5 {
        assert_eq!(block_on(store.commit(one_decision())).unwrap().sequences, [expected]);
    }
}

#[test]
fn many_at_once_all_get_numbers_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut numbers: Vec<u64> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let commits: Vec<_> = (0..50).map(|_| store.commit(one_decision())).collect();
                    let numbers: Vec<u64> =
                        commits.into_iter().flat_map(|c| c.wait().unwrap().sequences).collect();
                    assert!(numbers.is_sorted(), "a thread's batches keep their order");
                    numbers
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=400).collect::<Vec<_>>());
    assert_eq!(store.records::<Decisions>(1).unwrap().count(), 400);
}

#[test]
fn a_full_queue_makes_wait_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions { queue_bytes: 1, ..StoreOptions::default() };
    let store = Store::open(dir.path(), &options).unwrap();
    let commits: Vec<_> = (0..30).map(|_| store.commit(one_decision())).collect();
    assert!(commits.into_iter().all(|commit| commit.wait().is_ok()));
}

#[test]
fn lazy_writes_are_kept_when_the_store_closes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.commit_lazy(one_decision()).unwrap();
    drop(store);
    assert_eq!(open(dir.path()).last_number::<Decisions>(), 1);
}

#[test]
fn lazy_writes_become_durable_by_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.commit_lazy(one_decision()).unwrap();
    while store.last_number::<Decisions>() == 0 {
        thread::yield_now();
    }
    assert_eq!(store.after::<Decisions>(0, 9).unwrap().len(), 1);
}

#[test]
fn an_empty_batch_is_a_barrier() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for _ in 0..20 {
        store.commit_lazy(one_decision()).unwrap();
    }
    store.flush().unwrap();
    assert_eq!(store.last_number::<Decisions>(), 20);
}

#[test]
fn a_batch_that_fails_leaves_the_others_of_its_group_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let commits: Vec<_> = (0..40)
        .map(|i| {
            let mut batch = one_decision();
            batch.put::<Negotiations>(&format!("n-{i}"), &json!(i)).unwrap();
            if i % 2 == 1 {
                batch.call(&super::journal::call(1, &[crate::Digest::of(b"lost")]), &[]).unwrap();
            }
            store.commit(batch)
        })
        .collect();
    for (i, commit) in commits.into_iter().enumerate() {
        match commit.wait() {
            Ok(_) => assert_eq!(i % 2, 0),
            Err(error) => assert!(matches!(error, StoreError::MissingBlob(_)) && i % 2 == 1),
        }
    }
    assert_eq!(store.scan::<Negotiations>().count(), 20);
    assert_eq!(store.after::<Decisions>(0, 99).unwrap().len(), 20);
}

#[test]
fn a_commit_calls_back_once_it_is_durable_or_will_never_be() {
    let faults = Faults::new();
    let store = Store::over(&Memory::new(), &StoreOptions::default(), &faults).unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let tell = |sender: &std::sync::mpsc::Sender<_>| {
        let sender = sender.clone();
        move |result| sender.send(result).unwrap()
    };
    faults.hold_flushes();
    store.commit(one_decision()).then(tell(&sender));
    faults.wait_for_held_flush();
    assert!(receiver.try_recv().is_err(), "it is not durable yet");
    faults.release_flushes();
    assert_eq!(receiver.recv().unwrap().map(|receipt| receipt.sequences), Ok(vec![1]));
    faults.fail_flush(1);
    store.commit(one_decision()).then(tell(&sender));
    assert!(receiver.recv().unwrap().is_err());
    // Wait until the queue refuses batches.
    while store.commit_lazy(Batch::new()).is_ok() {
        thread::yield_now();
    }
    store.commit(one_decision()).then(tell(&sender));
    assert!(matches!(receiver.recv().unwrap(), Err(StoreError::Full { .. })));
    drop(store);
    assert!(receiver.try_recv().is_err(), "each is called once");
}
