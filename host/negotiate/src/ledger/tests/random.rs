//! Compares random operations with a naive book: a list of leases that is summed for every moment.

use haggle_model::{Lease, LeaseId, LeaseState, Resource, Timestamp, Window};
use proptest::prelude::*;

use super::super::{Begun, Commitment, Hold, Ledger};
use super::{id, lease, rack};
use crate::testing::{at, cores, name, window};

const LAST: u64 = 60;

#[derive(Clone, Debug)]
enum Op {
    Hold { id: u8, holder: u8, amount: u32, start: u64, length: u64, replace: bool },
    Confirm { ids: Vec<u8>, end: Option<u8>, end_at: u64 },
    Release(u8),
    Begin { ids: Vec<u8>, end: Option<u8>, end_at: u64 },
    Finish(bool),
    Renew { id: u8, end: u64 },
    Wait(u64),
    Capacity(u32),
}

fn op() -> impl Strategy<Value = Op> {
    let ids = 0_u8..24;
    prop_oneof![
        5 => (ids.clone(), 0_u8..3, 0_u32..7, 0_u64..50, 1_u64..20, any::<bool>()).prop_map(
            |(id, holder, amount, start, length, replace)| Op::Hold { id, holder, amount, start, length, replace }
        ),
        4 => (prop::collection::vec(ids.clone(), 0..3), prop::option::of(ids.clone()), 0..LAST)
            .prop_map(|(ids, end, end_at)| Op::Confirm { ids, end, end_at }),
        3 => (prop::collection::vec(ids.clone(), 0..3), prop::option::of(ids.clone()), 0..LAST)
            .prop_map(|(ids, end, end_at)| Op::Begin { ids, end, end_at }),
        2 => any::<bool>().prop_map(Op::Finish),
        1 => (ids.clone(), 0..LAST).prop_map(|(id, end)| Op::Renew { id, end }),
        2 => ids.prop_map(Op::Release),
        2 => (1_u64..6).prop_map(Op::Wait),
        1 => (0_u32..12).prop_map(Op::Capacity),
    ]
}

/// The book: the current state of every lease, and the leases that each hold will replace.
#[derive(Default)]
struct Book(Vec<(Lease, Vec<LeaseId>)>);

impl Book {
    fn put(&mut self, changed: Vec<Lease>) {
        for lease in changed {
            if matches!(lease.state, LeaseState::Released | LeaseState::Expired) {
                // After a lease has ended, a later one may have its id.
                self.0.iter_mut().for_each(|(_, replaces)| replaces.retain(|id| *id != lease.id));
            }
            match self.0.iter_mut().find(|(known, _)| known.id == lease.id) {
                Some((known, _)) => *known = lease,
                None => panic!("{} was never held", lease.id),
            }
        }
    }

    fn used(&self, t: Timestamp) -> i128 {
        let counts = |lease: &Lease| {
            matches!(lease.state, LeaseState::Held | LeaseState::Confirmed)
                && lease.window.contains(t)
        };
        let steps =
            |lease: &Lease| (lease.amounts.get(Resource::CpuCores) * 1000.0).round() as i128;
        let mut used = 0;
        let mut credited = Vec::new();
        for (lease, replaces) in &self.0 {
            if lease.state == LeaseState::Held && !replaces.is_empty() {
                let old: i128 = self
                    .0
                    .iter()
                    .filter(|(old, _)| replaces.contains(&old.id) && counts(old))
                    .map(|(old, _)| steps(old))
                    .sum();
                used += old.max(if counts(lease) { steps(lease) } else { 0 });
                credited.extend(replaces);
            }
        }
        for (lease, replaces) in &self.0 {
            let in_pair = lease.state == LeaseState::Held && !replaces.is_empty();
            if counts(lease) && !in_pair && !credited.contains(&&lease.id) {
                used += steps(lease);
            }
        }
        used
    }
}

/// Checks that the ledger agrees with the book at every moment from `now` on.
fn compare(ledger: &Ledger, book: &Book, now: u64) -> Result<(), TestCaseError> {
    for t in now..LAST + 20 {
        let here: Window = window(t, t + 1);
        let committed = ledger.committed(&rack(), here, &[]).get(Resource::CpuCores);
        prop_assert_eq!((committed * 1000.0).round() as i128, book.used(at(t)), "at {}", t);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// The calendars agree with the book at every moment. Held and confirmed amounts exceed the capacity
    /// only after it was lowered, and then do not grow. After everything has ended, nothing is left.
    #[test]
    fn never_overcommits_and_never_leaks(ops in prop::collection::vec(op(), 1..60)) {
        let mut ledger = Ledger::new();
        let mut book = Book::default();
        let mut begun: Vec<Begun> = Vec::new();
        let mut capacity = 8;
        ledger.set_capacity(&rack(), &cores(0.008));
        let mut now = 0;
        for op in ops {
            let before: Vec<i128> = (0..LAST + 20).map(|t| book.used(at(t))).collect();
            match op {
                Op::Hold { id: number, holder, amount, start, length, replace } => {
                    let mut new = lease(&format!("l{number}"), f64::from(amount) / 1000.0, window(start, start + length));
                    new.holder = name(&format!("h{holder}"));
                    new.held_until = at(now + 5);
                    let old: Vec<LeaseId> = ledger
                        .leases_between(&new.holder, &rack())
                        .filter(|l| replace && l.state == LeaseState::Confirmed)
                        .map(|l| l.id.clone())
                        .collect();
                    let hold = Hold { replaces: old.clone(), ..Hold::new(new.clone()) };
                    if let Ok(held) = ledger.hold(std::slice::from_ref(&hold), at(now)) && !held.is_empty() {
                        book.0.retain(|(l, _)| l.id != new.id);
                        book.0.push((new, old));
                        prop_assert_eq!(ledger.hold(&[hold], at(now)), Ok(vec![]));
                    }
                }
                Op::Confirm { ids, end, end_at } => {
                    let commitment = Commitment {
                        confirm: ids.iter().map(|i| id(&format!("l{i}"))).collect(),
                        end: end.iter().map(|i| (id(&format!("l{i}")), at(end_at))).collect(),
                    };
                    let prepared = ledger.prepare(&commitment, at(now));
                    let done = ledger.confirm(&commitment, at(now));
                    prop_assert_eq!(&prepared, &done);
                    if let Ok(changed) = done {
                        book.put(changed);
                    }
                }
                Op::Begin { ids, end, end_at } => {
                    let commitment = Commitment {
                        confirm: ids.iter().map(|i| id(&format!("l{i}"))).collect(),
                        end: end.iter().map(|i| (id(&format!("l{i}")), at(end_at))).collect(),
                    };
                    begun.extend(ledger.begin(&commitment, at(now)));
                }
                Op::Finish(durable) => {
                    if let Some(commitment) = begun.pop() {
                        if durable {
                            book.put(ledger.finish(commitment));
                        } else {
                            ledger.abandon(&commitment);
                        }
                        // These leases could not expire during the commit.
                        book.put(ledger.expire(at(now)));
                    }
                }
                Op::Renew { id: number, end } => {
                    if let Ok(lease) = ledger.renew(&id(&format!("l{number}")), at(end), at(now)) {
                        book.put(vec![lease]);
                    }
                }
                Op::Release(number) => book.put(ledger.release(&[id(&format!("l{number}"))])),
                Op::Wait(seconds) => {
                    now += seconds;
                    book.put(ledger.expire(at(now)));
                }
                Op::Capacity(steps) => {
                    capacity = i128::from(steps);
                    ledger.set_capacity(&rack(), &cores(f64::from(steps) / 1000.0));
                    for (lease, _) in book.0.iter_mut().filter(|(l, _)| l.state == LeaseState::Held) {
                        if ledger.lease(&lease.id).is_none_or(|l| l.state != LeaseState::Held) {
                            lease.state = LeaseState::Released;
                        }
                    }
                    let fits = (now..LAST + 20).all(|t| book.used(at(t)) <= capacity);
                    let held = book.0.iter().any(|(l, _)| l.state == LeaseState::Held);
                    prop_assert!(fits || !held || !begun.is_empty(), "a hold exceeds the capacity");
                }
            }
            compare(&ledger, &book, now)?;
            for t in now..LAST + 20 {
                let used = book.used(at(t));
                prop_assert!(used <= capacity || used <= before[t as usize], "{used} at {t}");
            }
        }
        begun.iter().for_each(|begun| ledger.abandon(begun));
        book.put(ledger.expire(at(1000)));
        ledger.expire(at(1000));
        prop_assert!(book.0.iter().all(|(l, _)| matches!(l.state, LeaseState::Released | LeaseState::Expired)));
        prop_assert!(ledger.entries.is_empty() && ledger.due.is_empty() && ledger.lines.is_empty());
        prop_assert!(ledger.accounts[&rack()].calendars.values().all(super::super::Calendar::is_flat));
    }
}
