//! The alternatives to the full demand.

use haggle_model::{
    Alternative::{Delayed, OtherLocation, Partial, Preempt, WithoutOptional},
    Span, Strength, Tier,
};

use super::{Fixture, at, rps};
use crate::{
    Outcome,
    testing::{name, window},
};

const PAIR: &[(&str, &str, f64, Strength)] =
    &[("web", "db", 1.0, Strength::Mandatory), ("app", "db", 1.0, Strength::Mandatory)];

fn agreed(
    world: &mut Fixture,
    who: &str,
    load: f64,
    tried: &[haggle_model::Alternative],
) -> Outcome {
    let mut demand = world.demand(who, load);
    demand.policy.alternatives = tried.to_vec();
    demand.policy.max_rounds = 6;
    demand.policy.preemption_notice = Span::from_secs(60);
    world.run(demand).outcome
}

#[test]
fn later_waits_for_the_lease_that_is_in_the_way() {
    let mut shop = Fixture::new(PAIR);
    agreed(&mut shop, "app", 700.0, &[]);
    let outcome = agreed(&mut shop, "web", 500.0, &[Delayed]);
    let agreement = outcome.agreement().unwrap();
    assert_eq!((agreement.fraction, agreement.window), (1.0, Some(window(600, 1200))));
    assert_eq!(agreement.alternatives, [Delayed]);
    assert_eq!(shop.agreed("web", "db"), 0.0, "not now");
    shop.now = 600;
    assert_eq!(shop.agreed("web", "db"), 500.0);
}

#[test]
fn later_spends_no_round_on_a_moment_at_which_the_units_are_full() {
    // Six leases of one core each on eight cores, which end one after another.
    let shop = || {
        let mut shop = Fixture::new(&[("web", "db", 0.5, Strength::Mandatory)]);
        shop.provider("alder", 2, 1.0);
        for n in 0..6 {
            let who = format!("s{n}");
            shop.service(&who, 10);
            let mut demand = shop.demand(&who, 100.0);
            demand.window = window(0, 40 + 20 * n);
            assert!(shop.run(demand).outcome.agreement().is_some());
        }
        shop
    };
    for (replicas, starts) in [(4.0, 60), (5.0, 80), (6.0, 100), (8.0, 140)] {
        let mut shop = shop();
        shop.service("big", 10);
        let mut demand = shop.demand("big", 100.0 * replicas);
        demand.policy.alternatives = vec![Delayed];
        let outcome = shop.run(demand).outcome;
        let agreement = outcome.agreement().unwrap_or_else(|| panic!("{replicas}: {outcome:?}"));
        assert_eq!(agreement.window, Some(window(starts, starts + 600)), "{replicas}");
        assert_eq!((agreement.fraction, agreement.rounds), (1.0, 2));
    }
    // Two services share the free units: four replicas and two.
    let mut shop = shop();
    let mut demand = shop.demand("web", 400.0);
    demand.policy.alternatives = vec![Delayed];
    let outcome = shop.run(demand).outcome;
    let agreement = outcome.agreement().unwrap_or_else(|| panic!("{outcome:?}"));
    assert_eq!((agreement.window, agreement.rounds), (Some(window(100, 700)), 2));
}

#[test]
fn the_order_decides() {
    for (order, fraction, later) in
        [([Partial, Delayed], 0.6, false), ([Delayed, Partial], 1.0, true)]
    {
        let mut shop = Fixture::new(PAIR);
        agreed(&mut shop, "app", 700.0, &[]);
        let outcome = agreed(&mut shop, "web", 500.0, &order);
        let agreement = outcome.agreement().unwrap();
        assert!((agreement.fraction - fraction).abs() < 1e-9);
        assert_eq!(agreement.window.is_some(), later);
    }
}

#[test]
fn less_at_once_where_later_would_not_do_either() {
    let mut shop = Fixture::new(PAIR);
    agreed(&mut shop, "app", 700.0, &[]);
    shop.answer("db", super::counter(rps(300.0)));
    let outcome = agreed(&mut shop, "web", 500.0, &[Delayed, Partial]);
    let agreement = outcome.agreement().unwrap();
    assert!((agreement.fraction - 0.6).abs() < 1e-9);
    assert_eq!((agreement.window, agreement.alternatives.as_slice()), (None, &[Partial][..]));
}

#[test]
fn elsewhere_gives_up_the_location() {
    let mut shop = Fixture::new(&[]);
    shop.service("web", 10);
    shop.provider("alder", 5, 1.0);
    shop.snapshots.get_mut(&name("web")).unwrap().service.location = Some("there".into());
    assert!(agreed(&mut shop, "web", 500.0, &[Partial]).agreement().is_none());
    let outcome = agreed(&mut shop, "web", 500.0, &[Partial, OtherLocation]);
    let agreement = outcome.agreement().unwrap();
    assert_eq!((agreement.fraction, shop.placed("web")), (1.0, 5));
    assert!(agreement.alternatives.contains(&OtherLocation));
}

#[test]
fn a_lower_tier_makes_way_after_its_notice() {
    for (tier, fraction) in [(Tier::Bronze, Some(1.0)), (Tier::Gold, None)] {
        let mut shop = Fixture::new(PAIR);
        shop.snapshots.get_mut(&name("app")).unwrap().tier = tier;
        shop.snapshots.get_mut(&name("web")).unwrap().tier = Tier::Gold;
        agreed(&mut shop, "app", 700.0, &[]);
        let outcome = agreed(&mut shop, "web", 500.0, &[Preempt]);
        assert_eq!(outcome.agreement().map(|agreement| agreement.fraction), fraction);
        let Some(agreement) = outcome.agreement() else {
            assert_eq!(shop.agreed("app", "db"), 700.0);
            continue;
        };
        assert_eq!(agreement.window, Some(window(60, 600)));
        assert_eq!(agreement.preempted.len(), 1);
        let victim = shop.ledger.lease(&agreement.preempted[0]).unwrap();
        assert_eq!((victim.holder.as_str(), victim.window.end), ("app", at(60)));
        assert!(shop.parties.persisted.contains(victim), "both in one write");
    }
}

#[test]
fn no_more_is_borrowed_than_is_needed() {
    let mut shop = Fixture::new(&[
        ("web", "db", 1.0, Strength::Mandatory),
        ("app", "db", 1.0, Strength::Mandatory),
        ("job", "db", 1.0, Strength::Mandatory),
    ]);
    for (holder, tier) in [("app", Tier::Silver), ("job", Tier::Bronze), ("web", Tier::Gold)] {
        shop.snapshots.get_mut(&name(holder)).unwrap().tier = tier;
    }
    agreed(&mut shop, "app", 500.0, &[]);
    agreed(&mut shop, "job", 500.0, &[]);
    let outcome = agreed(&mut shop, "web", 400.0, &[Preempt]);
    let victims = &outcome.agreement().unwrap().preempted;
    assert_eq!(victims.len(), 1);
    assert_eq!(shop.ledger.lease(&victims[0]).unwrap().holder, name("job"), "the lowest first");
}

#[test]
fn degraded_does_without_headroom_and_without_what_is_optional() {
    let mut shop = Fixture::new(&[("web", "ads", 1.0, Strength::Optional)]);
    let mut demand = shop.demand("web", 900.0);
    demand.target_utilization = 0.8;
    demand.policy.alternatives = vec![];
    assert!(shop.run(demand.clone()).outcome.agreement().is_none());
    demand.session = "again".into();
    demand.policy.alternatives = vec![WithoutOptional];
    let done = shop.run(demand);
    let agreement = done.outcome.agreement().unwrap();
    assert_eq!((agreement.fraction, agreement.services.len()), (1.0, 1));
    assert_eq!(
        (agreement.without_optional.len(), agreement.alternatives.as_slice()),
        (1, &[WithoutOptional][..])
    );
}

#[test]
fn an_optional_branch_does_not_take_from_what_is_needed() {
    // Both lead to db; only cart is mandatory.
    let mut shop = Fixture::new(&[
        ("web", "cart", 1.0, Strength::Mandatory),
        ("web", "ads", 1.0, Strength::Optional),
        ("cart", "db", 1.0, Strength::Mandatory),
        ("ads", "db", 1.0, Strength::Mandatory),
    ]);
    let outcome = agreed(&mut shop, "web", 800.0, &[Partial]);
    let agreement = outcome.agreement().unwrap();
    assert_eq!((agreement.fraction, agreement.without_optional.len()), (1.0, 1));
    assert_eq!(shop.agreed("web", "db"), 800.0);
    assert!(!agreement.services.contains_key(&name("ads")));
}

#[test]
fn who_has_no_choice_goes_first() {
    // Both fit only if db leaves the units here to web, which must be here.
    let mut shop = Fixture::new(&[("web", "db", 1.0, Strength::Mandatory)]);
    shop.provider("alder", 1, 1.0);
    shop.provider("birch", 1, 2.0);
    shop.providers[1].location = "there".into();
    shop.snapshots.get_mut(&name("web")).unwrap().service.location = Some("here".into());
    let outcome = agreed(&mut shop, "web", 400.0, &[]);
    assert_eq!(outcome.agreement().map(|agreement| agreement.fraction), Some(1.0));
    assert_eq!((shop.placed("web"), shop.placed("db")), (4, 4));
}
