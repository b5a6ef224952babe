//! The price of replicas at each moment, compared with the budget of their service.

use std::collections::BTreeSet;

use haggle_model::{Alternative, Lease, Name, Strength, Timestamp};
use proptest::prelude::*;

use super::fraction;
use crate::{
    Demand, Spread, leased_replicas,
    testing::{Fixture, at, calls, name, window},
};

use Strength::Mandatory;

/// A description of the first moment at which the replicas of a service exceed its budget and their earlier
/// price.
pub(super) fn excess(
    before: &[Lease],
    after: &[Lease],
    service: &Name,
    budget: Option<f64>,
) -> Option<String> {
    let windows = before.iter().chain(after).map(|lease| lease.window);
    let moments: BTreeSet<_> = windows.flat_map(|w| [w.start, w.end]).collect();
    moments.into_iter().find_map(|at| {
        let [before, after] = [before, after].map(|all| price(all, service, at));
        let most = budget.unwrap_or(f64::INFINITY).max(before);
        (after > most + 1e-6).then(|| format!("{service} pays {after} of {most} at {at}"))
    })
}

/// The price per hour of the replicas of a service at that moment.
fn price(leases: &[Lease], service: &Name, at: Timestamp) -> f64 {
    let leases = leases.iter().filter(|l| l.holder == *service && l.window.contains(at));
    leases.map(|lease| lease.price_per_hour).sum()
}

fn prices<const N: usize>(shop: &Fixture, service: &str, seconds: [u64; N]) -> [f64; N] {
    let leases: Vec<Lease> = shop.ledger.leases().cloned().collect();
    seconds.map(|second| price(&leases, &name(service), at(second)))
}

#[test]
fn what_is_kept_counts_toward_a_smaller_budget() {
    let mut shop = Fixture::new(&[]);
    shop.service("web", 10);
    shop.provider("alder", 2, 1.0);
    shop.provider("birch", 2, 2.0);
    let demand = shop.demand("web", 1000.0);
    shop.run(demand);
    assert_eq!(prices(&shop, "web", [0]), [12.0]);
    shop.now = 1;
    shop.parties.bids.insert(name("alder"), Err("trapped".into()));
    let demand = shop.demand("web", 800.0);
    let done = shop.run(Demand { budget_per_hour: Some(14.0), ..demand });
    // For that budget, Birch has 7. The 10 stay until they end, and never run at the same time as the 7.
    assert_eq!(fraction(&done), 7.0 / 8.0);
    assert_eq!(prices(&shop, "web", [1, 599, 600, 601]), [12.0, 12.0, 14.0, 0.0]);
    let agreement = done.outcome.agreement().unwrap();
    assert_eq!((agreement.price_per_hour, shop.placed("web")), (14.0, 7));
    assert_eq!(agreement.leases.len(), 3, "the new one, and the two that run until then");
}

#[test]
fn what_outlasts_the_rest_ends_where_the_new_takes_over() {
    let mut shop = Fixture::new(&[]);
    shop.service("web", 10);
    shop.provider("alder", 2, 1.0);
    shop.provider("birch", 2, 2.0);
    for (load, end) in [(300.0, 3600), (500.0, 600)] {
        let demand = shop.demand("web", load);
        shop.run(Demand { window: window(0, end), ..demand });
    }
    assert_eq!(prices(&shop, "web", [0, 600]), [5.0, 3.0]);
    shop.now = 1;
    shop.parties.bids.insert(name("alder"), Err("trapped".into()));
    let demand = shop.demand("web", 500.0);
    let (window, budget_per_hour) = (window(1, 4000), Some(8.0));
    let done = shop.run(Demand { window, budget_per_hour, ..demand });
    assert_eq!(fraction(&done), 4.0 / 5.0);
    // From 600 on, the 3 remaining replicas are fewer than the 4 that the budget buys.
    assert_eq!(prices(&shop, "web", [1, 599, 600, 3999]), [5.0, 5.0, 8.0, 8.0]);
    assert_eq!(leased_replicas(&shop.ledger, &shop.snapshots[&name("web")].service, window), 4);
}

#[test]
fn what_follows_one_another_is_not_added_up() {
    let mut shop = Fixture::new(&[("web", "db", 1.0, Mandatory), ("app", "db", 1.0, Mandatory)]);
    shop.provider("alder", 4, 1.0);
    shop.snapshots.get_mut(&name("db")).unwrap().budget_per_hour = Some(4.0);
    for (start, end) in [(500, 900), (300, 500)] {
        let demand = shop.demand("app", 100.0);
        shop.run(Demand { window: window(start, end), ..demand });
    }
    assert_eq!(prices(&shop, "db", [299, 300, 499, 500]), [0.0, 1.0, 1.0, 1.0]);
    let demand = shop.demand("web", 200.0);
    let done = shop.run(Demand { window: window(0, 1000), ..demand });
    assert_eq!(fraction(&done), 1.0);
    assert_eq!(prices(&shop, "db", [0, 300, 500, 900]), [3.0, 4.0, 4.0, 3.0]);
}

/// A demand as (service, load, pause, lead, length); a new budget of one service; the provider that does
/// not bid; and the number of rounds.
type Step = ((usize, f64, u64, u64, u64), (usize, Option<f64>), usize, u32);

fn step() -> impl Strategy<Value = Step> {
    let demand = (0_usize..4, 0.0..1000.0_f64, 0_u64..300, 0_u64..300, 100_u64..900);
    let budget = (0_usize..4, prop::option::of(0.0..25.0_f64));
    (demand, budget, 0_usize..5, 1_u32..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// At every moment, the replicas of a service are within its budget or cost no more than before. The
    /// agreed number of replicas is leased.
    #[test]
    fn nobody_spends_more_than_its_budget(
        edges in prop::collection::vec((0_usize..4, 0_usize..4, 1_u8..9), 0..5),
        machines in prop::collection::vec((1_u32..6, 0_u8..4), 1..4),
        steps in prop::collection::vec(step(), 2..8),
    ) {
        let mut world = Fixture::new(&[]);
        let names: Vec<String> = (0..4).map(|i| format!("s{i}")).collect();
        names.iter().for_each(|service| world.service(service, 10));
        for (from, to, ratio) in edges {
            let edge = calls(f64::from(ratio) * 0.25, Mandatory);
            if from < to {
                let _ = world.graph.add(&name(&names[from]), &name(&names[to]), edge);
            }
        }
        for (i, (count, cost)) in machines.iter().enumerate() {
            world.provider(&format!("p{i}"), *count, f64::from(*cost));
        }
        for ((requester, load, wait, ahead, length), (spender, budget), silent, rounds) in steps {
            world.now += wait;
            world.ledger.expire(at(world.now));
            world.parties.bids.clear();
            world.parties.bids.insert(name(&format!("p{silent}")), Err("trapped".into()));
            world.snapshots.get_mut(&name(&names[spender])).unwrap().budget_per_hour = budget;
            let requester = name(&names[requester]);
            let mut demand = world.demand(requester.as_str(), load);
            demand.budget_per_hour = world.snapshots[&requester].budget_per_hour;
            demand.window = window(world.now + ahead, world.now + ahead + length);
            demand.policy.max_rounds = rounds;
            demand.policy.alternatives = vec![Alternative::Partial];
            let when = demand.window;
            if Spread::new(&world.graph, &requester, &demand.load).is_err() {
                continue;
            }
            let before: Vec<Lease> = world.ledger.leases().cloned().collect();
            let done = world.run(demand);
            let after: Vec<Lease> = world.ledger.leases().cloned().collect();
            for (service, snapshot) in &world.snapshots {
                let excess = excess(&before, &after, service, snapshot.budget_per_hour);
                prop_assert!(excess.is_none(), "{}", excess.unwrap_or_default());
            }
            for (service, agreed) in done.outcome.agreement().iter().flat_map(|a| &a.services) {
                let snapshot = &world.snapshots[service];
                let leased = leased_replicas(&world.ledger, &snapshot.service, when);
                prop_assert!(leased >= agreed.replicas, "{service} has {leased} of {agreed:?}");
            }
        }
    }
}
