use haggle_model::{Lease, LeaseState, Owner, Resource, Span};

use super::{Trigger, Watched, burn_rate, watch};
use crate::{
    Demand, Purpose,
    testing::{Fixture, at, name, rps, window},
};
use haggle_model::{LeaseId, Strength::Mandatory};

const PAIR: &[(&str, &str, f64, haggle_model::Strength)] = &[("web", "db", 1.0, Mandatory)];

fn lease(until: u64) -> Lease {
    Lease {
        id: LeaseId("a".into()),
        negotiation: "n1".into(),
        holder: name("web"),
        owner: Owner::Service(name("db")),
        amounts: rps(100.0),
        replicas: 0,
        price_per_hour: 0.0,
        window: window(0, until),
        state: LeaseState::Confirmed,
        held_until: at(0),
    }
}

fn demand() -> Demand {
    let mut demand = Fixture::new(PAIR).demand("web", 100.0);
    demand.policy.renew_before = Span::from_secs(60);
    demand.policy.band = 0.2;
    demand
}

fn look(used: f64, leases: &[Lease], now: u64) -> Vec<Trigger> {
    let (demand, agreed, used) = (demand(), rps(100.0), rps(used));
    let watched = Watched {
        demand: &demand,
        agreed: &agreed,
        leases,
        used: &used,
        risk: Some(0.1),
        risk_threshold: 0.5,
        burn_rate: Some(1.0),
    };
    watch(&watched, at(now))
}

#[test]
fn leaves_alone_what_fits() {
    for used in [80.0, 100.0, 120.0] {
        assert_eq!(look(used, &[lease(600)], 100), []);
    }
}

#[test]
fn sees_deviations_losses_and_the_end() {
    for used in [79.0, 121.0] {
        let resource = Resource::RequestsPerSecond;
        assert_eq!(
            look(used, &[lease(600)], 100),
            [Trigger::Deviation { resource, used, agreed: 100.0 }]
        );
    }
    let lost = Trigger::Lost { lease: LeaseId("a".into()), at: at(300) };
    assert_eq!((look(100.0, &[lease(300)], 100), lost.due()), (vec![lost], Some(at(300))));
    assert_eq!(look(100.0, &[lease(300)], 300), [], "what is lost is lost");
    assert_eq!(look(100.0, &[lease(600)], 540), [Trigger::Ending { at: at(600) }]);
}

#[test]
fn the_old_agreement_is_the_position_of_the_new_demand() {
    let mut shop = Fixture::new(PAIR);
    let first = shop.demand("web", 700.0);
    assert_eq!(shop.run(first.clone()).outcome.agreement().unwrap().fraction, 1.0);
    let (agreed, used) = (rps(700.0), rps(900.0));
    let leases: Vec<Lease> = shop.ledger.leases().cloned().collect();
    let watched = Watched {
        demand: &first,
        agreed: &agreed,
        leases: &leases,
        used: &used,
        risk: Some(0.9),
        risk_threshold: 0.5,
        burn_rate: burn_rate(8.0, 100.0, 0.99),
    };
    shop.now = 60;
    let triggers = watch(&watched, at(60));
    assert!(
        matches!(
            triggers.as_slice(),
            [Trigger::Risk { .. }, Trigger::Burn { .. }, Trigger::Deviation { .. }]
        ),
        "{triggers:?}"
    );
    let deviation = triggers[2].renegotiate(&watched, "n2".into(), 0.25, at(60));
    assert_eq!((deviation.load.clone(), deviation.purpose), (rps(900.0), Purpose::Renegotiation));
    let done = shop.run(deviation);
    // 1000 are all there is: 900 only fit because the 700 are replaced.
    assert_eq!(done.outcome.agreement().unwrap().fraction, 1.0);
    assert_eq!(shop.parties.asked.last().unwrap().position.committed, rps(0.0));
    assert_eq!(shop.agreed("web", "db"), 900.0);
    let risk = triggers[0].renegotiate(&watched, "n3".into(), 0.1, at(60));
    assert_eq!(risk.purpose, Purpose::FailureAvoidance);
    assert!((risk.load.get(Resource::RequestsPerSecond) - 990.0).abs() < 1e-9);
}

#[test]
fn a_budget_that_is_not_there_does_not_burn() {
    assert_eq!(burn_rate(1.0, 0.0, 0.99), None);
    assert_eq!(burn_rate(1.0, 10.0, 1.0), None);
    assert!((burn_rate(1.0, 100.0, 0.99).unwrap() - 1.0).abs() < 1e-9);
}

#[test]
fn what_a_provider_takes_back_is_bought_elsewhere_before_the_notice_runs_out() {
    let mut shop = Fixture::new(&[]);
    shop.service("web", 10);
    shop.provider("alder", 2, 1.0);
    shop.provider("birch", 2, 3.0);
    let first = shop.demand("web", 500.0);
    let agreement = shop.run(first.clone()).outcome.agreement().unwrap().clone();
    assert_eq!(agreement.price_per_hour, 5.0);
    let owner = Owner::Unit { provider: name("alder"), unit: name("m") };
    let none = haggle_model::Quantities::new();
    let changed = shop.ledger.reclaim(&owner, &none, at(120), at(60), |a, b| a.id.cmp(&b.id));
    assert_eq!(changed.len(), 1);
    shop.now = 60;
    let (agreed, used) = (rps(500.0), rps(480.0));
    let watched = Watched {
        demand: &first,
        agreed: &agreed,
        leases: &changed,
        used: &used,
        risk: None,
        risk_threshold: 0.5,
        burn_rate: None,
    };
    let triggers = watch(&watched, at(60));
    assert_eq!(triggers, [Trigger::Lost { lease: changed[0].id.clone(), at: at(120) }]);
    let mut again = triggers[0].renegotiate(&watched, "again".into(), 0.0, at(60));
    again.budget_per_hour = Some(20.0);
    assert_eq!(again.load, rps(500.0), "as it was agreed");
    let done = shop.run(again);
    assert_eq!(done.outcome.agreement().map(|agreement| agreement.fraction), Some(1.0));
    shop.now = 120;
    shop.ledger.expire(at(120));
    shop.ledger.set_capacity(&owner, &none);
    assert_eq!(shop.placed("web"), 5);
    assert!(shop.ledger.leases().all(|lease| lease.owner != owner));
}
