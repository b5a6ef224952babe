//! Invalid answers and demands, and failed negotiations.

use haggle_model::{LeaseState, Strength::Mandatory};

use super::{CHAIN, fraction, is_failed, nothing_left, reasons};
use crate::{
    Answer, Content, DemandError, Ending, Information, Offer, OpenError, SpreadError,
    testing::{Fixture, at, drive, name, rps},
};

#[test]
fn answers_that_make_no_sense_are_refusals() {
    let mut shop = Fixture::new(CHAIN);
    shop.provider("alder", 9, 1.0);
    let greedy = Offer { quantities: rps(1e6), reason: "greedy".into() };
    shop.answer("db", Answer::Counter(greedy));
    let demand = shop.demand("web", 300.0);
    let done = shop.run(demand);
    assert!(
        is_failed(&done)
            && reasons(&done)
                .contains("1000000 requests_per_second are offered where 600 were asked for")
    );
    let faults = |done: &Ending| {
        let acts = done.transcript.messages.iter();
        acts.filter(|m| matches!(m.content, Content::Inform(Information::Fault(_)))).count()
    };
    assert_eq!(faults(&done), 2, "what is wrong with it, and what it counts as");
    shop.parties.answers.clear();
    shop.parties.scores = Some(Ok(vec![f64::NAN]));
    let demand = shop.demand("web", 300.0);
    let done = shop.run(demand);
    assert_eq!((fraction(&done), faults(&done)), (1.0, 6), "the cheapest bids win then");
    assert!(
        serde_json::from_str::<crate::Transcript>(
            &serde_json::to_string(&done.transcript).unwrap()
        )
        .is_ok()
    );
    shop.parties.scores = None;
    shop.parties.bids.insert(name("alder"), Err("the policy trapped".into()));
    let demand = shop.demand("web", 400.0);
    let done = shop.run(demand);
    assert_eq!(fraction(&done), 0.75, "what it has it keeps");
    assert!(reasons(&done).contains("the policy trapped"));
}

#[test]
fn a_promise_beyond_what_is_free_is_cut() {
    let mut shop = Fixture::new(&[("web", "db", 1.0, Mandatory), ("app", "db", 1.0, Mandatory)]);
    let demand = shop.demand("app", 700.0);
    shop.run(demand);
    shop.answer("db", Answer::Accept);
    let demand = shop.demand("web", 600.0);
    let done = shop.run(demand);
    assert_eq!((fraction(&done), shop.agreed("web", "db")), (0.5, 300.0));
    assert!(reasons(&done).contains("only 300 requests_per_second that is not promised"));
}

#[test]
fn what_cannot_be_kept_is_not_confirmed() {
    let mut shop = Fixture::new(CHAIN);
    shop.parties.refuse_to_persist = true;
    let demand = shop.demand("web", 300.0);
    let done = shop.run(demand);
    assert!(is_failed(&done) && reasons(&done).contains("the disk is full"));
    assert!(nothing_left(&shop));
    assert!(done.changes.is_empty());
}

#[test]
fn the_deadline_ends_it_wherever_it_stands() {
    let mut ends = std::collections::BTreeSet::new();
    for patience in 0..40 {
        let mut shop = Fixture::new(CHAIN);
        shop.provider("alder", 9, 1.0);
        let demand = shop.demand("web", 300.0);
        let mut looks = 0;
        let mut clock = || {
            looks += 1;
            if looks > patience { at(1000) } else { at(0) }
        };
        let mut demand = demand;
        demand.window.end = at(5000);
        let done = shop.run_with(demand, &mut clock);
        ends.insert(is_failed(&done));
        if is_failed(&done) {
            assert!(nothing_left(&shop), "after {patience} looks at the clock");
            assert!(!reasons(&done).is_empty());
        } else {
            assert!(shop.ledger.leases().all(|lease| lease.state == LeaseState::Confirmed));
        }
    }
    assert_eq!(ends.len(), 2);
}

#[test]
fn demands_without_sense_are_refused_at_once() {
    let mut shop = Fixture::new(&[
        ("a", "b", 1.0, Mandatory),
        ("b", "c", 2.0, Mandatory),
        ("c", "b", 1.0, Mandatory),
        ("web", "db", 1.0, Mandatory),
    ]);
    let mut refused = |change: &dyn Fn(&mut crate::Demand)| {
        let mut demand = shop.demand("web", 300.0);
        change(&mut demand);
        let world = crate::testing::Fixture::new(&[("web", "db", 1.0, Mandatory)]);
        let both = if demand.requester == name("a") { shop.world() } else { world.world() };
        let mut ledger = crate::Ledger::new();
        let mut parties = crate::testing::Parties::default();
        match drive(demand, &both, &mut ledger, &mut parties, &mut || at(0)) {
            Err(OpenError::Demand(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    use DemandError as E;
    let divergent = refused(&|d| d.requester = name("a"));
    assert!(matches!(divergent, E::Spread(SpreadError::Divergent { .. })));
    let unknown = refused(&|d| d.requester = name("nobody"));
    assert!(matches!(unknown, E::Spread(SpreadError::UnknownService(_))));
    assert!(matches!(refused(&|d| d.load = crate::testing::cores(1.0)), E::NotServed { .. }));
    assert!(matches!(refused(&|d| d.window.end = d.window.start), E::Window { .. }));
    assert!(matches!(refused(&|d| d.target_utilization = 0.0), E::Range { .. }));
    assert!(matches!(refused(&|d| d.budget_per_hour = Some(f64::NAN)), E::Range { .. }));
}

#[test]
fn the_end_is_in_the_transcript() {
    let mut shop = Fixture::new(CHAIN);
    let demand = shop.demand("web", 300.0);
    let done = shop.run(demand);
    let last = done.transcript.messages.last().unwrap();
    let outcome = Information::Outcome(done.outcome.clone());
    assert_eq!(last.content, Content::Inform(outcome));
}
