//! The effect of sessions on the replicas of their participants, in random worlds.

use std::collections::BTreeMap;

use haggle_model::{Alternative, LeaseState, Owner, Strength};
use proptest::prelude::*;

use crate::{
    Spread, leased_replicas,
    testing::{Fixture, at, calls, name, rps, window},
};

/// A demand as (service, load, pause, lead, length); a plan as (service, load, utilization); and the number
/// of rounds.
type Deed = ((usize, f64, u64, u64, u64), (usize, f64, f64), u32);

fn deed() -> impl Strategy<Value = Deed> {
    let demand = (0_usize..5, 0.0..900.0_f64, 0_u64..300, 0_u64..300, 100_u64..900);
    let plan = (0_usize..5, 0.0..900.0_f64, 0.4..1.0_f64);
    (demand, plan, 1_u32..5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// A session of another requester leaves a service at least the replicas that it had. A session of its
    /// own leaves at least those that it needs for its promises and the agreed load. An agreement states no
    /// more replicas than are leased.
    #[test]
    fn nobody_loses_what_it_needs(
        edges in prop::collection::vec((0_usize..5, 0_usize..5, 1_u8..9, 0_u8..3), 1..10),
        machines in prop::collection::vec((1_u32..8, 0_u8..4), 1..3),
        deeds in prop::collection::vec(deed(), 2..8),
    ) {
        let mut world = Fixture::new(&[]);
        let names: Vec<String> = (0..5).map(|i| format!("s{i}")).collect();
        names.iter().for_each(|service| world.service(service, 10));
        let strengths = [Strength::Mandatory, Strength::Optional, Strength::BestEffort];
        for (from, to, ratio, strength) in edges {
            let ratio = f64::from(ratio) * if from < to { 0.25 } else { 0.02 };
            let edge = calls(ratio, strengths[usize::from(strength)]);
            let _ = world.graph.add(&name(&names[from]), &name(&names[to]), edge);
        }
        for (i, (count, cost)) in machines.iter().enumerate() {
            world.provider(&format!("p{i}"), *count, f64::from(*cost));
        }
        for ((requester, load, wait, ahead, length), (planner, planned, utilization), rounds) in deeds {
            world.now += wait;
            world.ledger.expire(at(world.now));
            let snapshot = world.snapshots.get_mut(&name(&names[planner])).unwrap();
            (snapshot.planned, snapshot.target_utilization) = (rps(planned), utilization);
            let requester = name(&names[requester]);
            let mut demand = world.demand(requester.as_str(), load);
            demand.window = window(world.now + ahead, world.now + ahead + length);
            demand.target_utilization = world.snapshots[&requester].target_utilization;
            demand.policy.max_rounds = rounds;
            demand.policy.alternatives = vec![Alternative::Partial];
            let when = demand.window;
            if Spread::new(&world.graph, &requester, &demand.load).is_err() {
                continue;
            }
            let leased = |world: &Fixture| -> BTreeMap<_, u32> {
                let all = world.snapshots.iter();
                all.map(|(name, snapshot)| {
                    (name.clone(), leased_replicas(&world.ledger, &snapshot.service, when))
                }).collect()
            };
            let before = leased(&world);
            let done = world.run(demand);
            let after = leased(&world);
            prop_assert!(world.ledger.leases().all(|l| l.state == LeaseState::Confirmed));
            let Some(agreement) = done.outcome.agreement() else {
                prop_assert_eq!(before, after);
                continue;
            };
            for (service, had) in &before {
                let has = after[service];
                let agreed = agreement.services.get(service);
                prop_assert!(agreed.is_none_or(|agreed| agreed.replicas <= has), "{service}: {agreed:?}");
                if *service == requester {
                    let snapshot = &world.snapshots[service];
                    let owner = Owner::Service(service.clone());
                    let promised = world.ledger.committed(&owner, when, &[]);
                    let load = agreed.unwrap().load.plus(&promised);
                    let needs = snapshot.service.replicas_for(&load, snapshot.target_utilization);
                    prop_assert!(has >= needs.min(*had), "{service} has {has} of {had}, needs {needs}");
                } else {
                    prop_assert!(has >= *had, "{service} has {has} of {had} by a session of {requester}");
                    // The reported number does not cause a removal either.
                    prop_assert!(agreed.is_none_or(|agreed| agreed.replicas >= *had), "{agreed:?}");
                }
            }
        }
    }
}
