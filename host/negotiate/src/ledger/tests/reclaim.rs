//! Capacity that an owner takes back, and the leases that are cut for it after their commit.

use std::cmp::Ordering;

use haggle_model::{Lease, LeaseState, Owner};

use super::{Ledger, at, confirm, cores, free, hold, id, lease, ledger, name, rack, window};

/// Cuts smaller leases first.
fn smaller_first(a: &Lease, b: &Lease) -> Ordering {
    let cores = |lease: &Lease| lease.amounts.get(haggle_model::Resource::CpuCores);
    cores(a).total_cmp(&cores(b))
}

/// Cuts leases in the order of their ids alone.
fn by_name(_: &Lease, _: &Lease) -> Ordering {
    Ordering::Equal
}

fn confirmed(ledger: &mut Ledger, text: &str, amount: f64, from: u64, to: u64) {
    ledger.hold(&[hold(text, amount, window(from, to), &[])], at(0)).unwrap();
    ledger.confirm(&confirm(&[text]), at(0)).unwrap();
}

/// A ledger with a lease in a commit when the owner announces that nothing is left from 20 on.
fn pinned(amount: f64) -> Ledger {
    let mut ledger = ledger(10.0);
    ledger.hold(&[hold("a", amount, window(0, 100), &[])], at(0)).unwrap();
    let begun = ledger.begin(&confirm(&["a"]), at(1)).unwrap();
    let changed = ledger.reclaim(&rack(), &[(at(20), cores(0.0))], at(2), by_name);
    assert!(changed.is_empty(), "what is on its way to disk stays");
    assert!(ledger.cut_back(&rack(), at(2), by_name).is_empty(), "as long as it is");
    ledger.finish(begun);
    ledger
}

#[test]
fn what_was_on_its_way_is_cut_once_it_is_there() {
    let mut ledger = pinned(6.0);
    let changed = ledger.cut_back(&rack(), at(3), by_name);
    assert_eq!(changed.len(), 1);
    assert_eq!((changed[0].state, changed[0].window), (LeaseState::Confirmed, window(0, 20)));
    assert_eq!(ledger.lease(&id("a")), Some(&changed[0]));
    assert_eq!((free(&ledger, 3, 20), free(&ledger, 20, 100)), (4.0, 0.0));
    assert!(ledger.cut_back(&rack(), at(3), by_name).is_empty(), "twice is once");
}

#[test]
fn what_is_cut_after_the_moment_is_released_at_once() {
    let mut ledger = pinned(6.0);
    let changed = ledger.cut_back(&rack(), at(20), by_name);
    assert_eq!(changed.iter().map(|l| l.state).collect::<Vec<_>>(), [LeaseState::Released]);
    assert!(ledger.leases().next().is_none());
    let mut late = pinned(6.0);
    let changed = late.cut_back(&rack(), at(50), by_name);
    assert_eq!(changed.len(), 1, "the moment is long over, but the lease still runs");
    assert_eq!((changed[0].state, free(&late, 50, 100)), (LeaseState::Released, 0.0));
}

#[test]
fn nothing_is_cut_where_nothing_was_taken_back_or_all_fits() {
    let mut ledger = ledger(10.0);
    confirmed(&mut ledger, "a", 6.0, 0, 100);
    assert!(ledger.cut_back(&rack(), at(1), by_name).is_empty(), "nothing was taken back");
    let elsewhere = Owner::Service(name("db"));
    assert!(ledger.cut_back(&elsewhere, at(1), by_name).is_empty(), "nobody knows it");
    assert!(ledger.reclaim(&rack(), &[(at(20), cores(6.0))], at(1), by_name).is_empty());
    assert!(ledger.cut_back(&rack(), at(1), by_name).is_empty(), "it fits to the last core");
    assert!(ledger.reclaim(&rack(), &[(at(20), cores(50.0))], at(1), by_name).is_empty());
    assert!(
        ledger.cut_back(&rack(), at(1), by_name).is_empty(),
        "more than it has is nothing less"
    );
    assert_eq!(ledger.lease(&id("a")).unwrap().window, window(0, 100));
}

#[test]
fn a_new_capacity_ends_what_was_announced() {
    let mut ledger = pinned(6.0);
    ledger.set_capacity(&rack(), &cores(8.0));
    assert!(ledger.cut_back(&rack(), at(3), by_name).is_empty(), "there is enough again");
    assert_eq!((free(&ledger, 20, 100), ledger.leases().count()), (2.0, 1));
    let reported = ledger.set_capacity(&rack(), &cores(5.0));
    assert_eq!(reported.len(), 1, "too little is reported");
    assert!(ledger.cut_back(&rack(), at(3), by_name).is_empty(), "and nothing cut without notice");
    let mut removed = pinned(6.0);
    removed.remove_owner(&rack());
    assert!(removed.cut_back(&rack(), at(3), by_name).is_empty());
    assert_eq!(removed.leases().count(), 1, "leases of an owner that was removed run on");
}

#[test]
fn holds_go_first_then_what_comes_first_until_the_rest_fits() {
    let mut ledger = ledger(20.0);
    for (text, amount) in [("a", 5.0), ("b", 1.0), ("c", 3.0)] {
        ledger.hold(&[hold(text, amount, window(0, 100), &[])], at(0)).unwrap();
    }
    let begun = ledger.begin(&confirm(&["a", "b", "c"]), at(1)).unwrap();
    ledger.hold(&[hold("d", 4.0, window(0, 100), &[])], at(1)).unwrap();
    let changed = ledger.reclaim(&rack(), &[(at(20), cores(5.0))], at(2), smaller_first);
    assert_eq!(changed.iter().map(|l| &l.id).collect::<Vec<_>>(), [&id("d")]);
    ledger.finish(begun);
    let changed = ledger.cut_back(&rack(), at(3), smaller_first);
    assert_eq!(changed.iter().map(|l| &l.id).collect::<Vec<_>>(), [&id("b"), &id("c")]);
    assert_eq!(ledger.lease(&id("a")).unwrap().window, window(0, 100), "the rest fits");
    assert!(ledger.overcommitted(&rack()).is_empty());
}

#[test]
fn only_what_runs_then_and_takes_what_is_short_is_cut() {
    let mut ledger = ledger(20.0);
    let mut other = hold("other", 0.0, window(0, 100), &[]);
    other.lease =
        Lease { amounts: haggle_model::Quantities::new(), ..lease("other", 0.0, window(0, 100)) };
    ledger.hold(&[other], at(0)).unwrap();
    confirmed(&mut ledger, "before", 5.0, 0, 20);
    confirmed(&mut ledger, "later", 5.0, 40, 100);
    ledger.hold(&[hold("x", 5.0, window(0, 100), &[])], at(0)).unwrap();
    let begun = ledger.begin(&confirm(&["x"]), at(1)).unwrap();
    ledger.reclaim(&rack(), &[(at(20), cores(5.0))], at(2), by_name);
    assert_eq!(ledger.lease(&id("later")).map(|l| l.state), Some(LeaseState::Released));
    assert_eq!(ledger.lease(&id("before")).unwrap().window, window(0, 20), "it ends in time");
    ledger.finish(begun);
    assert!(ledger.cut_back(&rack(), at(3), by_name).is_empty(), "what is left fits now");
    assert!(ledger.lease(&id("other")).is_some_and(|l| l.state == LeaseState::Held));
}
