//! Complete negotiations with parties that answer at once.

use haggle_model::{LeaseState, Quantities, Strength};

use crate::{
    Answer, Edge, Ending, Outcome,
    testing::{Fixture, at, counter, name, rps},
};

use Strength::{BestEffort, Mandatory, Optional};

mod alternatives;
mod budget;
mod optimum;
mod random;
mod refusals;
mod replicas;
mod windows;

const CHAIN: &[(&str, &str, f64, Strength)] =
    &[("web", "cart", 1.0, Mandatory), ("cart", "db", 2.0, Mandatory)];

fn fraction(negotiated: &Ending) -> f64 {
    negotiated.outcome.agreement().unwrap_or_else(|| panic!("{:?}", negotiated.outcome)).fraction
}

fn reasons(negotiated: &Ending) -> String {
    let all: Vec<_> = negotiated.outcome.reasons().iter().map(ToString::to_string).collect();
    all.join("\n")
}

fn is_failed(negotiated: &Ending) -> bool {
    matches!(negotiated.outcome, Outcome::Failed { .. })
}

fn nothing_left(fixture: &Fixture) -> bool {
    let leases = fixture.ledger.leases().count();
    leases == 0 && fixture.ledger.owners().all(|o| fixture.ledger.overcommitted(o).is_empty())
}

#[test]
fn everybody_accepts() {
    let mut shop = Fixture::new(CHAIN);
    let demand = shop.demand("web", 300.0);
    let done = shop.run(demand);
    let agreement = done.outcome.agreement().unwrap();
    assert_eq!((agreement.fraction, agreement.reduced, agreement.rounds), (1.0, false, 1));
    assert_eq!((shop.agreed("web", "cart"), shop.agreed("web", "db")), (300.0, 600.0));
    assert_eq!(agreement.services[&name("db")].replicas, 6);
    let asked: Vec<_> = shop.parties.asked.iter().map(|i| i.service.as_str()).collect();
    assert_eq!(asked, ["db", "cart"], "leaves first");
    assert_eq!(shop.parties.persisted.len(), 2);
    assert!(shop.parties.persisted.iter().all(|lease| lease.state == LeaseState::Confirmed));
    let acts: Vec<_> = done.transcript.messages.iter().map(|m| m.content.kind()).collect();
    let (call, propose) = ("call_for_proposals", "propose");
    let wanted = [
        call, propose, call, propose, "accept", "accept", "confirm", "confirm", "confirm",
        "confirm", "inform",
    ];
    assert_eq!(acts, wanted);
    let json = serde_json::to_string(&done.transcript).unwrap();
    assert_eq!(serde_json::from_str::<crate::Transcript>(&json).unwrap(), done.transcript);
}

#[test]
fn a_bottleneck_scales_the_whole_plan() {
    let mut shop = Fixture::new(CHAIN);
    shop.answer("db", counter(rps(300.0)));
    let demand = shop.demand("web", 300.0);
    let done = shop.run(demand);
    assert_eq!(fraction(&done), 0.5);
    assert_eq!((shop.agreed("web", "cart"), shop.agreed("web", "db")), (150.0, 300.0));
    assert!(done.outcome.agreement().unwrap().reduced);
    assert!(reasons(&done).contains("db: offers 300 requests_per_second of the 600"));
    let cart = &shop.parties.asked[1];
    assert_eq!(cart.asks.sustainable, rps(150.0), "what its own dependency answered");
    assert_eq!(done.outcome.agreement().unwrap().rounds, 3, "once more, since it has 1000");
}

#[test]
fn who_concedes_is_asked_again() {
    for (offers, rounds, fraction, took) in [
        (vec![300.0, 450.0, 600.0], 4, 1.0, 3),
        (vec![300.0, 450.0, 450.0], 4, 0.75, 4),
        (vec![300.0, 450.0, 600.0], 2, 0.75, 2),
        (vec![300.0, 450.0, 600.0], 1, 0.5, 1),
    ] {
        let mut shop = Fixture::new(CHAIN);
        shop.parties.concedes.insert(name("db"), offers);
        let mut demand = shop.demand("web", 300.0);
        demand.policy.max_rounds = rounds;
        let done = shop.run(demand);
        assert_eq!(self::fraction(&done), fraction);
        assert_eq!(done.outcome.agreement().unwrap().rounds, took);
    }
}

#[test]
fn who_has_no_more_is_not_asked_again() {
    let mut shop = Fixture::new(CHAIN);
    shop.service("db", 3);
    let demand = shop.demand("web", 300.0);
    let done = shop.run(demand);
    assert_eq!((fraction(&done), done.outcome.agreement().unwrap().rounds), (0.5, 2));
}

#[test]
fn the_last_round_takes_what_was_offered() {
    let mut shop = Fixture::new(CHAIN);
    shop.answer("db", counter(rps(300.0)));
    let mut demand = shop.demand("web", 300.0);
    demand.policy.max_rounds = 1;
    assert_eq!(fraction(&shop.run(demand)), 0.5);
    let mut demand = shop.demand("web", 400.0);
    demand.policy.alternatives.clear();
    shop.answer("db", counter(rps(310.0)));
    let done = shop.run(demand);
    assert!(is_failed(&done) && reasons(&done).contains("db: offers"));
    assert_eq!(shop.agreed("web", "db"), 300.0, "what was agreed before stays");
}

#[test]
fn a_mandatory_refusal_fails_and_leaves_nothing() {
    let mut shop = Fixture::new(CHAIN);
    shop.answer("db", Answer::Reject("backup tonight".into()));
    let demand = shop.demand("web", 300.0);
    let done = shop.run(demand);
    assert!(
        is_failed(&done)
            && reasons(&done).contains("db: refuses 600 requests_per_second: backup tonight")
    );
    assert!(nothing_left(&shop) && shop.parties.persisted.is_empty());
    shop.parties.answers.insert(name("db"), Err("the policy trapped".into()));
    let demand = shop.demand("web", 300.0);
    let done = shop.run(demand);
    assert!(is_failed(&done) && reasons(&done).contains("the policy trapped"));
}

#[test]
fn an_optional_branch_is_dropped() {
    let mut shop = Fixture::new(&[
        ("web", "cart", 1.0, Mandatory),
        ("web", "ads", 1.0, Optional),
        ("ads", "model", 1.0, Mandatory),
        ("ads", "db", 1.0, Mandatory),
        ("cart", "db", 1.0, Mandatory),
    ]);
    shop.answer("model", counter(rps(30.0)));
    let demand = shop.demand("web", 300.0);
    let done = shop.run(demand);
    let agreement = done.outcome.agreement().unwrap();
    assert_eq!(agreement.fraction, 1.0);
    assert_eq!(agreement.without_optional, [Edge { from: name("web"), to: name("ads") }]);
    assert_eq!((shop.agreed("web", "ads"), shop.agreed("web", "db")), (0.0, 300.0));
    assert!(reasons(&done).contains("model: offers 30"));
}

#[test]
fn an_optional_service_that_carries_the_reduced_plan_stays() {
    let mut shop = Fixture::new(&[("web", "cart", 1.0, Mandatory), ("web", "ads", 1.0, Optional)]);
    shop.answer("cart", counter(rps(100.0)));
    shop.answer("ads", counter(rps(150.0)));
    let demand = shop.demand("web", 300.0);
    let done = shop.run(demand);
    assert!((fraction(&done) - 1.0 / 3.0).abs() < 1e-9);
    assert!(done.outcome.agreement().unwrap().without_optional.is_empty());
    assert!((shop.agreed("web", "ads") - 100.0).abs() < 1e-6);
}

#[test]
fn best_effort_is_told_and_not_held() {
    let mut shop = Fixture::new(&[
        ("web", "log", 1.0, BestEffort),
        ("log", "db", 9.0, Mandatory),
        ("web", "db", 1.0, Mandatory),
    ]);
    let demand = shop.demand("web", 300.0);
    let done = shop.run(demand);
    assert_eq!(fraction(&done), 1.0);
    let told: Vec<_> = shop.parties.told.iter().map(|i| i.service.as_str()).collect();
    assert_eq!(told, ["log"]);
    assert_eq!((shop.agreed("web", "log"), shop.agreed("web", "db")), (0.0, 300.0));
}

#[test]
fn the_bounds_of_the_requester_limit_it() {
    let mut shop = Fixture::new(CHAIN);
    shop.service("web", 2);
    let demand = shop.demand("web", 400.0);
    let done = shop.run(demand);
    assert_eq!((fraction(&done), shop.parties.asked.len()), (0.5, 2));
    assert!(reasons(&done).contains("web: at most 2 replicas"));
}

#[test]
fn a_shortage_of_machines_reduces() {
    let mut shop = Fixture::new(CHAIN);
    shop.provider("alder", 2, 1.0);
    let demand = shop.demand("web", 300.0);
    let done = shop.run(demand);
    // 8 cores for the 3 + 3 + 6 requested replicas.
    let agreement = done.outcome.agreement().unwrap();
    assert!((agreement.fraction - 2.0 / 3.0).abs() < 1e-12, "{agreement:?}");
    for (service, replicas) in [("web", 2), ("cart", 2), ("db", 4)] {
        assert_eq!(agreement.services[&name(service)].replicas, replicas);
        assert_eq!(shop.placed(service), replicas, "{service}");
    }
    assert!(reasons(&done).contains("replicas it needs"));
}

#[test]
fn what_is_optional_is_bought_last() {
    let mut shop = Fixture::new(&[("web", "ads", 1.0, Optional), ("web", "zoo", 1.0, Mandatory)]);
    shop.provider("alder", 2, 1.0);
    let demand = shop.demand("web", 300.0);
    let done = shop.run(demand);
    assert_eq!(fraction(&done), 1.0);
    assert_eq!(done.outcome.agreement().unwrap().without_optional.len(), 1);
    assert_eq!((shop.placed("ads"), shop.placed("web"), shop.placed("zoo")), (0, 3, 3));
    assert!(reasons(&done).contains("ads: gets 2 of the 3 replicas it needs"));
}

#[test]
fn several_providers_share_and_the_cheap_one_comes_first() {
    let mut shop = Fixture::new(&[]);
    shop.service("web", 10);
    shop.provider("alder", 1, 2.0);
    shop.provider("birch", 1, 1.0);
    let demand = shop.demand("web", 600.0);
    let done = shop.run(demand);
    let agreement = done.outcome.agreement().unwrap();
    assert_eq!((agreement.price_per_hour, shop.placed("web")), (8.0, 6));
    // The same demand again: everything exists already, and no party is asked.
    let demand = shop.demand("web", 600.0);
    let again = shop.run(demand);
    assert_eq!(again.outcome.agreement().unwrap().leases.len(), 2);
    assert!(again.changes.is_empty());
}

#[test]
fn a_better_offer_takes_all_replicas_along() {
    let mut shop = Fixture::new(&[]);
    shop.service("web", 10);
    shop.provider("alder", 4, 2.0);
    let demand = shop.demand("web", 200.0);
    shop.run(demand);
    shop.provider("birch", 4, 1.0);
    let demand = shop.demand("web", 300.0);
    let done = shop.run(demand);
    let agreement = done.outcome.agreement().unwrap();
    assert_eq!((agreement.price_per_hour, shop.placed("web")), (3.0, 3));
    assert_eq!(shop.ledger.leases_of(&name("web")).count(), 1, "the old ones have ended");
}

#[test]
fn a_budget_reduces() {
    let mut shop = Fixture::new(&[]);
    shop.service("web", 10);
    shop.provider("alder", 9, 2.0);
    let mut demand = shop.demand("web", 600.0);
    demand.budget_per_hour = Some(7.0);
    let done = shop.run(demand);
    assert_eq!((fraction(&done), shop.placed("web")), (0.5, 3));
    assert!(
        reasons(&done).contains("gets 3 of the 6 replicas it needs, which is what 7 per hour buys")
    );
}

/// Each service alone could buy all cheap units, but then the other could not pay for the rest.
#[test]
fn services_share_what_they_all_want() {
    for (load, carried) in [(400.0, 1.0), (800.0, 0.5)] {
        let mut shop =
            Fixture::new(&[("web", "cart", 1.0, Mandatory), ("web", "db", 1.0, Mandatory)]);
        shop.provider("alder", 1, 1.0);
        shop.provider("birch", 1, 2.0);
        shop.snapshots.get_mut(&name("web")).unwrap().service.replica.requests = Quantities::new();
        for service in ["cart", "db"] {
            shop.snapshots.get_mut(&name(service)).unwrap().budget_per_hour = Some(6.0);
        }
        let demand = shop.demand("web", load);
        let done = shop.run(demand);
        assert_eq!(fraction(&done), carried);
        assert_eq!((shop.placed("cart"), shop.placed("db")), (4, 4));
        assert_eq!(done.outcome.agreement().unwrap().price_per_hour, 12.0);
    }
}

#[test]
fn fewer_replicas_give_back_the_dearest() {
    let mut shop = Fixture::new(CHAIN);
    shop.provider("alder", 2, 2.0);
    shop.provider("birch", 2, 1.0);
    shop.service("db", 20);
    let demand = shop.demand("web", 400.0);
    assert_eq!(fraction(&shop.run(demand)), 1.0);
    shop.parties.bids.insert(name("alder"), Err("down".into()));
    shop.parties.bids.insert(name("birch"), Err("down".into()));
    let asked = shop.parties.asked.len();
    let demand = shop.demand("web", 100.0);
    let done = shop.run(demand);
    assert_eq!(fraction(&done), 1.0, "giving back needs nobody's consent");
    assert_eq!(shop.parties.asked.len(), asked);
    assert_eq!((shop.placed("web"), shop.agreed("web", "db")), (1, 200.0));
    let demand = shop.demand("web", 0.0);
    let none = shop.run(demand);
    assert_eq!((shop.placed("web"), shop.agreed("web", "db")), (0, 0.0));
    assert!(none.outcome.agreement().unwrap().leases.is_empty());
}

#[test]
fn more_replaces_what_was_there() {
    let mut shop = Fixture::new(CHAIN);
    shop.provider("alder", 9, 1.0);
    for load in [100.0, 300.0, 200.0, 500.0] {
        let demand = shop.demand("web", load);
        assert_eq!(fraction(&shop.run(demand)), 1.0);
        assert_eq!(
            (shop.agreed("web", "db"), shop.placed("web")),
            (2.0 * load, (load / 100.0) as u32)
        );
        assert_eq!(shop.ledger.leases_of(&name("web")).count(), 3);
    }
    shop.now = 300;
    let demand = shop.demand("web", 500.0);
    assert_eq!(fraction(&shop.run(demand)), 1.0);
    assert_eq!((shop.agreed("web", "db"), shop.placed("web")), (1000.0, 5), "renewed");
    assert_eq!(shop.ledger.leases_of(&name("web")).count(), 3);
}

#[test]
fn a_service_stays_bound_to_what_it_agreed_to() {
    let mut shop = Fixture::new(CHAIN);
    let demand = shop.demand("web", 200.0);
    shop.run(demand);
    shop.answer("db", Answer::Reject("no more".into()));
    let demand = shop.demand("web", 400.0);
    let done = shop.run(demand);
    assert_eq!((fraction(&done), shop.agreed("web", "db")), (0.5, 400.0));
    shop.now = 300;
    let demand = shop.demand("web", 200.0);
    assert!(is_failed(&shop.run(demand)), "not beyond its end");
}

#[test]
fn grows_with_its_own_plans_and_promises() {
    let mut shop = Fixture::new(&[("web", "db", 1.0, Mandatory), ("app", "db", 1.0, Mandatory)]);
    let demand = shop.demand("web", 300.0);
    shop.run(demand);
    shop.snapshots.get_mut(&name("db")).unwrap().planned = rps(450.0);
    let demand = shop.demand("app", 100.0);
    let done = shop.run(demand);
    assert_eq!(done.outcome.agreement().unwrap().services[&name("db")].replicas, 5);
    let demand = shop.demand("app", 300.0);
    let done = shop.run(demand);
    assert_eq!(done.outcome.agreement().unwrap().services[&name("db")].replicas, 6);
    let demand = shop.demand("db", 100.0);
    let done = shop.run(demand);
    assert_eq!(done.outcome.agreement().unwrap().services[&name("db")].replicas, 7, "on top");
}
