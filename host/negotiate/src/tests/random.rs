//! Sessions in random worlds with random answers.

use haggle_model::{Lease, LeaseState, Resource, Strength};
use proptest::prelude::*;

use super::budget::excess;
use crate::{
    Answer, Offer, Outcome, Overcommitment, Spread,
    testing::{Fixture, at, calls, name, rps, window},
};

/// A change of the world, and the demand that follows.
#[derive(Clone, Debug)]
struct Step {
    requester: usize,
    load: f64,
    wait: u64,
    budget: Option<f64>,
    rounds: u32,
    smaller: bool,
    answers: Vec<(usize, u8, f64)>,
    broken_provider: bool,
    capacity: Option<(usize, u32)>,
}

fn step() -> impl Strategy<Value = Step> {
    let answers = prop::collection::vec((0_usize..6, 0_u8..6, 0.0..1500.0_f64), 0..6);
    let demand =
        (0_usize..6, 0.0..1200.0_f64, 0_u64..200, prop::option::of(0.0..20.0_f64), 1_u32..4);
    let world = (any::<bool>(), any::<bool>(), prop::option::of((0_usize..6, 0_u32..12)));
    (demand, answers, world).prop_map(|(demand, answers, world)| {
        let (requester, load, wait, budget, rounds) = demand;
        let (smaller, broken_provider, capacity) = world;
        Step { requester, load, wait, budget, rounds, smaller, answers, broken_provider, capacity }
    })
}

fn apply(world: &mut Fixture, step: &Step, names: &[String]) {
    if let Some((service, most)) = step.capacity {
        world.service(&names[service], most);
    }
    world.parties.answers.clear();
    for (service, kind, amount) in &step.answers {
        let offer = Offer { quantities: rps(*amount), reason: "greedy".into() };
        let answer = match kind {
            0 => Ok(Answer::Accept),
            1 => Ok(Answer::Reject("no".into())),
            2 => Err("trapped".into()),
            _ => Ok(Answer::Counter(offer)),
        };
        world.parties.answers.insert(name(&names[*service]), answer);
    }
    world.parties.bids.clear();
    if step.broken_provider {
        world.parties.bids.insert(name("p0"), Err("trapped".into()));
    }
}

fn leases(world: &Fixture) -> Vec<Lease> {
    world.ledger.leases().cloned().collect()
}

fn overcommitted(world: &Fixture) -> Vec<Overcommitment> {
    world.ledger.owners().flat_map(|owner| world.ledger.overcommitted(owner)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Every session ends within its rounds, and leaves no holds. Nothing is promised twice. A failed
    /// session changes nothing, and leases back everything that an agreement states.
    #[test]
    fn sessions_end_clean(
        edges in prop::collection::vec((0_usize..6, 0_usize..6, 1_u8..9, 0_u8..3), 0..12),
        machines in prop::collection::vec((0_u32..6, 0_u8..4), 0..3),
        steps in prop::collection::vec(step(), 1..6),
    ) {
        let mut world = Fixture::new(&[]);
        let names: Vec<String> = (0..6).map(|i| format!("s{i}")).collect();
        names.iter().for_each(|service| world.service(service, 10));
        let strengths = [Strength::Mandatory, Strength::Optional, Strength::BestEffort];
        for (from, to, ratio, strength) in edges {
            // Upward ratios are small, so that most cycles converge.
            let ratio = f64::from(ratio) * if from < to { 0.25 } else { 0.02 };
            let edge = calls(ratio, strengths[usize::from(strength)]);
            let _ = world.graph.add(&name(&names[from]), &name(&names[to]), edge);
        }
        for (i, (count, cost)) in machines.iter().enumerate() {
            world.provider(&format!("p{i}"), *count, f64::from(*cost));
        }
        for step in steps {
            world.now += step.wait;
            world.ledger.expire(at(world.now));
            apply(&mut world, &step, &names);
            let (before, over) = (leases(&world), overcommitted(&world));
            let requester = name(&names[step.requester]);
            let mut demand = world.demand(requester.as_str(), step.load);
            demand.policy.max_rounds = step.rounds;
            demand.budget_per_hour = step.budget;
            if !step.smaller {
                demand.policy.alternatives.clear();
            }
            if Spread::new(&world.graph, &requester, &demand.load).is_err() {
                continue;
            }
            let done = world.run(demand);
            prop_assert!(world.ledger.leases().all(|l| l.state == LeaseState::Confirmed));
            for now in overcommitted(&world) {
                let was = over.iter().find(|o| o.owner == now.owner && o.resource == now.resource);
                prop_assert!(was.is_some_and(|was| was.committed >= now.committed), "{now:?}");
            }
            let agreement = match &done.outcome {
                Outcome::Failed { reasons, rounds } => {
                    prop_assert!(!reasons.is_empty() && *rounds <= step.rounds);
                    prop_assert_eq!(leases(&world), before);
                    continue;
                }
                Outcome::Agreed(agreement) => agreement,
            };
            prop_assert!(agreement.fraction > 0.0 && agreement.fraction <= 1.0);
            prop_assert!(agreement.rounds <= step.rounds);
            prop_assert_eq!(agreement.reduced, agreement.fraction < 1.0);
            prop_assert!(!agreement.reduced || (step.smaller && !agreement.reasons.is_empty()));
            for (service, agreed) in &agreement.services {
                if *service != requester {
                    let held = world.agreed(requester.as_str(), service.as_str());
                    let load = agreed.load.get(Resource::RequestsPerSecond);
                    prop_assert!((held - load).abs() < 0.002, "{service}: {held} for {load}");
                }
                if !world.providers.is_empty() {
                    prop_assert!(world.placed(service.as_str()) >= agreed.replicas, "{service}");
                }
            }
            if !world.providers.is_empty() {
                let replicas = agreement.services[&requester].replicas;
                prop_assert_eq!(world.placed(requester.as_str()), replicas, "no more than needed");
            }
            for id in &agreement.leases {
                prop_assert_eq!(world.ledger.lease(id).unwrap().state, LeaseState::Confirmed);
            }
            // Leases that were bought under a larger budget stay, but nothing is added to them.
            let excess = excess(&before, &leases(&world), &requester, step.budget);
            prop_assert!(excess.is_none(), "{}", excess.unwrap_or_default());
        }
        world.ledger.expire(at(world.now + 10_000));
        prop_assert_eq!(world.ledger.leases().count(), 0);
        for owner in world.ledger.owners() {
            let ahead = window(world.now, world.now + 20_000);
            prop_assert!(world.ledger.committed(owner, ahead, &[]).is_zero());
        }
    }
}
