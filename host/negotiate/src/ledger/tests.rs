use haggle_model::{Lease, LeaseId, LeaseState, Owner, Quantities, Window};

use super::{Commitment, Hold, Ledger, LedgerError};
use crate::testing::{at, cores, name, window};

mod random;
mod reclaim;

fn rack() -> Owner {
    Owner::Unit { provider: name("alder"), unit: name("rack") }
}

fn id(text: &str) -> LeaseId {
    LeaseId(text.into())
}

fn lease(text: &str, amount: f64, window: Window) -> Lease {
    Lease {
        id: id(text),
        negotiation: "n".into(),
        holder: name("web"),
        owner: rack(),
        amounts: cores(amount),
        replicas: 1,
        price_per_hour: 1.0,
        window,
        state: LeaseState::Held,
        held_until: at(30),
    }
}

fn hold(text: &str, amount: f64, window: Window, replaces: &[&str]) -> Hold {
    Hold {
        replaces: replaces.iter().map(|r| id(r)).collect(),
        ..Hold::new(lease(text, amount, window))
    }
}

fn confirm(ids: &[&str]) -> Commitment {
    Commitment { confirm: ids.iter().map(|i| id(i)).collect(), ..Commitment::default() }
}

fn ledger(capacity: f64) -> Ledger {
    let mut ledger = Ledger::new();
    assert!(ledger.set_capacity(&rack(), &cores(capacity)).is_empty());
    ledger
}

fn free(ledger: &Ledger, from: u64, to: u64) -> f64 {
    ledger.free(&rack(), window(from, to), &[]).get(haggle_model::Resource::CpuCores)
}

#[test]
fn never_promises_twice() {
    let mut ledger = ledger(10.0);
    ledger.hold(&[hold("a", 6.0, window(0, 100), &[])], at(0)).unwrap();
    let error = ledger.hold(&[hold("b", 6.0, window(50, 150), &[])], at(0)).unwrap_err();
    assert!(matches!(error, LedgerError::Exceeds { free: 4.0, more: 6.0, .. }), "{error}");
    ledger.hold(&[hold("c", 6.0, window(100, 150), &[])], at(0)).unwrap();
    assert_eq!((free(&ledger, 0, 100), free(&ledger, 150, 200)), (4.0, 10.0));
    let elsewhere = Owner::Service(name("db"));
    let mut stray = hold("d", 1.0, window(0, 9), &[]);
    stray.lease.owner = elsewhere.clone();
    assert_eq!(ledger.hold(&[stray], at(0)), Err(LedgerError::UnknownOwner(elsewhere)));
}

#[test]
fn holds_all_or_nothing() {
    let mut ledger = ledger(10.0);
    let both = [hold("a", 6.0, window(0, 100), &[]), hold("b", 6.0, window(0, 100), &[])];
    assert!(ledger.hold(&both, at(0)).is_err());
    assert_eq!((free(&ledger, 0, 100), ledger.leases().count()), (10.0, 0));
}

#[test]
fn everything_may_happen_twice() {
    let mut ledger = ledger(10.0);
    let a = hold("a", 6.0, window(0, 100), &[]);
    assert_eq!(
        ledger.hold(std::slice::from_ref(&a), at(0)).unwrap(),
        std::slice::from_ref(&a.lease)
    );
    assert_eq!(ledger.hold(std::slice::from_ref(&a), at(1)), Ok(vec![]));
    let other = ledger.hold(&[hold("a", 5.0, window(0, 100), &[])], at(1));
    assert_eq!(other, Err(LedgerError::Different(id("a"))));
    assert_eq!(ledger.confirm(&confirm(&["a"]), at(2)).unwrap().len(), 1);
    assert_eq!(ledger.confirm(&confirm(&["a"]), at(99)), Ok(vec![]));
    assert_eq!(ledger.hold(std::slice::from_ref(&a), at(3)), Ok(vec![]));
    assert_eq!(ledger.release(&[id("a")]).len(), 1);
    assert!(ledger.release(&[id("a"), id("never")]).is_empty());
    let late = ledger.hold(std::slice::from_ref(&a), at(4));
    assert!(matches!(late, Err(LedgerError::Over { .. })), "a late copy brings nothing back");
    ledger.expire(at(31));
    assert_eq!(ledger.lease(&id("a")), None);
    assert_eq!(ledger.hold(&[a], at(31)), Err(LedgerError::TooLate(id("a"))));
    assert_eq!(free(&ledger, 31, 100), 10.0);
}

#[test]
fn a_hold_runs_out_and_cannot_be_confirmed_then() {
    let mut ledger = ledger(10.0);
    let both = [hold("a", 6.0, window(0, 100), &[]), hold("b", 1.0, window(0, 100), &[])];
    ledger.hold(&both, at(0)).unwrap();
    ledger.confirm(&confirm(&["b"]), at(1)).unwrap();
    assert!(matches!(ledger.confirm(&confirm(&["b", "a"]), at(30)), Err(LedgerError::Over { .. })));
    let expired = ledger.expire(at(30));
    assert_eq!(expired.len(), 1);
    assert_eq!((expired[0].state, free(&ledger, 30, 100)), (LeaseState::Expired, 9.0));
    assert_eq!(ledger.confirm(&confirm(&["x"]), at(30)), Err(LedgerError::Unknown(id("x"))));
    assert_eq!(ledger.expire(at(100)).len(), 1);
    assert!(ledger.due.is_empty() && ledger.entries.is_empty() && ledger.lines.is_empty());
}

#[test]
fn the_larger_counts_while_both_exist() {
    let mut ledger = ledger(10.0);
    ledger.hold(&[hold("a", 6.0, window(0, 100), &[])], at(0)).unwrap();
    ledger.confirm(&confirm(&["a"]), at(0)).unwrap();
    ledger.hold(&[hold("b", 9.0, window(10, 200), &["a"])], at(10)).unwrap();
    assert_eq!((free(&ledger, 10, 100), free(&ledger, 100, 200)), (1.0, 1.0));
    let again = ledger.hold(&[hold("c", 1.0, window(10, 200), &["a"])], at(10));
    assert!(matches!(again, Err(LedgerError::CannotReplace { .. })));
    ledger.release(&[id("b")]);
    assert_eq!(free(&ledger, 10, 200), 4.0, "the old one is as it was");
    ledger.hold(&[hold("d", 2.0, window(10, 200), &["a"])], at(10)).unwrap();
    assert_eq!(free(&ledger, 10, 100), 4.0, "a smaller one does not free anything yet");
    let changed = ledger.confirm(&confirm(&["d"]), at(11)).unwrap();
    assert_eq!(changed.len(), 2);
    assert_eq!((free(&ledger, 11, 200), ledger.leases().count()), (8.0, 1));
}

#[test]
fn what_begins_later_cuts_what_it_replaces() {
    let mut ledger = ledger(10.0);
    ledger.hold(&[hold("a", 6.0, window(0, 100), &[])], at(0)).unwrap();
    ledger.confirm(&confirm(&["a"]), at(0)).unwrap();
    ledger.hold(&[hold("b", 9.0, window(50, 200), &["a"])], at(10)).unwrap();
    ledger.confirm(&confirm(&["b"]), at(10)).unwrap();
    assert_eq!(ledger.lease(&id("a")).unwrap().window, window(0, 50));
    let agreed = |from, to| ledger.agreed(&name("web"), &rack(), window(from, to));
    assert_eq!((agreed(10, 200), agreed(60, 200)), (cores(6.0), cores(9.0)));
    assert!(agreed(60, 201).is_zero());
}

#[test]
fn further_leases_end_with_the_commitment() {
    let mut ledger = ledger(10.0);
    let all = [hold("a", 3.0, window(0, 100), &[]), hold("b", 3.0, window(0, 100), &[])];
    ledger.hold(&all, at(0)).unwrap();
    ledger.confirm(&confirm(&["a", "b"]), at(0)).unwrap();
    let end = Commitment { end: [(id("a"), at(40))].into(), ..Commitment::default() };
    assert_eq!(ledger.confirm(&end, at(10)).unwrap()[0].window, window(0, 40));
    let end = Commitment { end: [(id("a"), at(0))].into(), ..end };
    assert_eq!(ledger.confirm(&end, at(10)).unwrap()[0].state, LeaseState::Released);
    assert_eq!(free(&ledger, 10, 100), 7.0);
}

#[test]
fn a_lowered_capacity_is_reported_and_never_promised_again() {
    let mut ledger = ledger(10.0);
    ledger.hold(&[hold("a", 6.0, window(0, 100), &[])], at(0)).unwrap();
    ledger.confirm(&confirm(&["a"]), at(0)).unwrap();
    let over = ledger.set_capacity(&rack(), &cores(4.0));
    assert_eq!((over.len(), over[0].capacity, over[0].committed), (1, 4.0, 6.0));
    assert_eq!(free(&ledger, 0, 100), 0.0);
    assert!(ledger.hold(&[hold("b", 0.001, window(0, 9), &[])], at(0)).is_err());
    ledger.hold(&[hold("c", 5.0, window(0, 100), &["a"])], at(0)).unwrap();
    ledger.confirm(&confirm(&["c"]), at(0)).unwrap();
    assert_eq!(ledger.overcommitted(&rack())[0].committed, 5.0, "a smaller one may still replace");
    assert_eq!(ledger.remove_owner(&rack())[0].capacity, 0.0);
    assert_eq!((ledger.owners().count(), ledger.leases().count()), (0, 1));
    ledger.expire(at(100));
    assert!(ledger.accounts.is_empty());
}

#[test]
fn restarts_without_the_holds() {
    let mut ledger = ledger(10.0);
    let confirmed =
        |text, to| Lease { state: LeaseState::Confirmed, ..lease(text, 7.0, window(0, to)) };
    let kept = [
        confirmed("a", 100),
        confirmed("b", 5),
        confirmed("c", 100),
        lease("d", 1.0, window(0, 100)),
    ];
    let changed = ledger.restore(kept.clone(), at(10));
    let states: Vec<_> = changed.iter().map(|l| (l.id.0.as_str(), l.state)).collect();
    assert_eq!(states, [("b", LeaseState::Expired), ("d", LeaseState::Released)]);
    assert_eq!(ledger.overcommitted(&rack())[0].committed, 14.0);
    ledger.restore(kept, at(10));
    assert_eq!(ledger.leases().count(), 2);
    assert_eq!(ledger.committed(&rack(), window(10, 20), &[id("a")]), cores(7.0));
    assert_eq!(ledger.committed(&rack(), window(100, 200), &[]), cores(0.0));
    assert_eq!(ledger.free(&Owner::Service(name("x")), window(0, 1), &[]), Quantities::new());
}

#[test]
fn nothing_moves_what_is_on_its_way_to_disk() {
    let mut ledger = ledger(10.0);
    ledger.hold(&[hold("a", 6.0, window(0, 100), &[])], at(0)).unwrap();
    ledger.confirm(&confirm(&["a"]), at(0)).unwrap();
    ledger.hold(&[hold("b", 8.0, window(10, 100), &["a"])], at(1)).unwrap();
    let commitment = confirm(&["b"]);
    let begun = ledger.begin(&commitment, at(2)).unwrap();
    let changes = begun.changes().to_vec();
    assert_eq!(changes.len(), 2, "the new one, and the old one cut short");
    assert_eq!(begun.confirmed().count(), 1);
    assert!(matches!(ledger.begin(&commitment, at(2)), Err(LedgerError::Busy(_))));
    assert!(ledger.expire(at(50)).is_empty(), "its hold would have run out at 30");
    assert!(ledger.release(&[id("a"), id("b")]).is_empty());
    let end = Commitment { end: [(id("a"), at(50))].into(), ..Commitment::default() };
    assert!(matches!(ledger.prepare(&end, at(50)), Err(LedgerError::Busy(_))));
    assert_eq!(ledger.finish(begun), changes, "what was written");
    assert_eq!(ledger.lease(&id("b")).unwrap().state, LeaseState::Confirmed);
    assert_eq!((free(&ledger, 60, 100), free(&ledger, 100, 200)), (2.0, 10.0));
}

#[test]
fn what_was_not_written_can_be_given_up() {
    let mut ledger = ledger(10.0);
    ledger.hold(&[hold("a", 6.0, window(0, 100), &[])], at(0)).unwrap();
    let commitment = confirm(&["a"]);
    let begun = ledger.begin(&commitment, at(1)).unwrap();
    ledger.abandon(&begun);
    assert_eq!(ledger.release(&[id("a")]).len(), 1);
    assert_eq!(free(&ledger, 0, 100), 10.0);
}

#[test]
fn what_comes_after_the_beginning_is_no_part_of_it() {
    let mut ledger = ledger(10.0);
    ledger.hold(&[hold("a", 2.0, window(0, 100), &[])], at(0)).unwrap();
    // The commitment also ends a lease that does not exist or has ended.
    let commitment = Commitment { end: [(id("b"), at(0))].into(), ..confirm(&["a"]) };
    let begun = ledger.begin(&commitment, at(1)).unwrap();
    ledger.hold(&[hold("b", 3.0, window(0, 100), &[])], at(1)).unwrap();
    let other = ledger.begin(&confirm(&["b"]), at(1)).unwrap();
    let ids = |leases: Vec<Lease>| leases.into_iter().map(|lease| lease.id).collect::<Vec<_>>();
    assert_eq!(ids(ledger.finish(begun)), [id("a")]);
    assert!(ledger.release(&[id("b")]).is_empty(), "it is on its way to disk still");
    assert_eq!(ids(ledger.finish(other)), [id("b")]);
    assert_eq!(free(&ledger, 0, 100), 5.0);
}

#[test]
fn renews_where_there_is_room() {
    let mut ledger = ledger(10.0);
    ledger.hold(&[hold("a", 6.0, window(0, 100), &[])], at(0)).unwrap();
    assert!(ledger.renew(&id("a"), at(200), at(1)).is_err(), "only what is confirmed");
    ledger.confirm(&confirm(&["a"]), at(1)).unwrap();
    ledger.hold(&[hold("b", 6.0, window(150, 300), &[])], at(1)).unwrap();
    let error = ledger.renew(&id("a"), at(200), at(1)).unwrap_err();
    assert!(matches!(error, LedgerError::Exceeds { free: 4.0, .. }), "{error}");
    assert_eq!(ledger.renew(&id("a"), at(150), at(1)).unwrap().window, window(0, 150));
    assert_eq!(ledger.renew(&id("a"), at(150), at(1)).unwrap().window, window(0, 150));
    assert_eq!((free(&ledger, 0, 150), free(&ledger, 100, 300)), (4.0, 4.0));
    assert_eq!(ledger.expire(at(150)).len(), 2);
    assert!(ledger.renew(&id("a"), at(400), at(150)).is_err(), "what is over is over");
    assert!(matches!(ledger.renew(&id("x"), at(400), at(150)), Err(LedgerError::Unknown(_))));
}

#[test]
fn a_reclaim_cuts_short_what_does_not_fit_any_more() {
    let mut ledger = ledger(10.0);
    for (name, amount) in [("a", 4.0), ("b", 4.0)] {
        ledger.hold(&[hold(name, amount, window(0, 100), &[])], at(0)).unwrap();
        ledger.confirm(&confirm(&[name]), at(0)).unwrap();
    }
    ledger.hold(&[hold("c", 2.0, window(0, 100), &[])], at(0)).unwrap();
    let later = |a: &Lease, b: &Lease| b.id.cmp(&a.id);
    let changed = ledger.reclaim(&rack(), &[(at(20), cores(5.0))], at(1), later);
    let ids: Vec<&str> = changed.iter().map(|lease| lease.id.0.as_str()).collect();
    assert_eq!(ids, ["b", "c"], "in the order of their ids");
    assert_eq!(changed[0].window, window(0, 20), "until the notice runs out");
    assert_eq!(changed[1].state, LeaseState::Released, "holds go first");
    assert_eq!((free(&ledger, 1, 20), free(&ledger, 20, 100)), (2.0, 1.0));
    assert!(ledger.hold(&[hold("d", 2.0, window(10, 30), &[])], at(1)).is_err());
    assert!(
        ledger.reclaim(&rack(), &[(at(20), cores(5.0))], at(2), later).is_empty(),
        "twice is once"
    );
    ledger.expire(at(20));
    assert!(ledger.set_capacity(&rack(), &cores(5.0)).is_empty());
    assert_eq!(free(&ledger, 20, 100), 1.0);
}

#[test]
fn others_make_way_only_where_that_is_said() {
    let mut ledger = ledger(10.0);
    ledger.hold(&[hold("a", 8.0, window(0, 100), &[])], at(0)).unwrap();
    ledger.confirm(&confirm(&["a"]), at(0)).unwrap();
    let mut gold = hold("g", 6.0, window(30, 100), &[]);
    gold.lease.holder = name("gold");
    gold.replaces = vec![id("a")];
    let error = ledger.hold(std::slice::from_ref(&gold), at(1)).unwrap_err();
    assert!(matches!(error, LedgerError::CannotReplace { .. }), "{error}");
    gold.replaces.clear();
    gold.preempts = vec![id("a")];
    ledger.hold(std::slice::from_ref(&gold), at(1)).unwrap();
    assert_eq!(free(&ledger, 30, 100), 2.0, "the larger of both");
    ledger.confirm(&confirm(&["g"]), at(2)).unwrap();
    assert_eq!(ledger.lease(&id("a")).unwrap().window, window(0, 30));
    assert_eq!((free(&ledger, 3, 30), free(&ledger, 30, 100)), (2.0, 4.0));
}
