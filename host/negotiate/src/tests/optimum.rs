//! Compares agreed fractions with the optimum of the corresponding linear program.

use std::collections::BTreeSet;

use haggle_model::{Name, Resource, Strength};
use microlp::{ComparisonOp, OptimizationDirection, Problem, SolveOutcome};
use proptest::prelude::*;

use crate::{
    Edge, Spread,
    testing::{Fixture, calls, name, rps},
};

const SIZE: usize = 8;

/// The optimum of the program with one variable for the fraction and one for the load of each service. The
/// load of a service is what enters over mandatory dependencies, and lies within its capacity. The load of the
/// requester is the demand, which includes what comes back to it.
fn optimum(world: &Fixture, requester: &Name, demand: f64, caps: &[f64]) -> f64 {
    let mut lp = Problem::new(OptimizationDirection::Maximize);
    let fraction = lp.add_var(1.0, (0.0, 1.0));
    let core = Spread::new(&world.graph, requester, &rps(demand))
        .unwrap()
        .without(|_, _, d| d.strength != Strength::Mandatory)
        .unwrap();
    let names: Vec<Name> = (0..SIZE).map(|i| name(&format!("s{i}"))).collect();
    let loads: Vec<_> = names
        .iter()
        .zip(caps)
        .map(|(name, cap)| {
            let most = if core.shares().contains_key(name) { *cap } else { 0.0 };
            lp.add_var(0.0, (0.0, most))
        })
        .collect();
    for (i, to) in names.iter().enumerate().filter(|(_, n)| core.shares().contains_key(*n)) {
        let mut terms = vec![(loads[i], 1.0)];
        let callers = names.iter().enumerate();
        let callers = callers.filter(|(_, n)| to != requester && core.shares().contains_key(*n));
        for (j, from) in callers {
            let found = world.graph.dependencies_of(from).find(|(name, _)| *name == to);
            if let Some((_, edge)) = found.filter(|(_, e)| e.strength == Strength::Mandatory) {
                terms.push((loads[j], -edge.ratios.get(Resource::RequestsPerSecond)));
            }
        }
        if to == requester {
            terms.push((fraction, -demand));
        }
        lp.add_constraint(terms, ComparisonOp::Eq, 0.0);
    }
    let SolveOutcome::Solution(solution) = lp.solve().unwrap() else { panic!("interrupted") };
    solution.objective()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// On random graphs, with and without cycles, the agreed fraction is exactly what the mandatory
    /// services can carry, whatever the optional ones need. None of the dropped optional dependencies would
    /// have fitted.
    #[test]
    fn the_agreed_fraction_is_the_optimum(
        edges in prop::collection::vec((0..SIZE, 0..SIZE, 1_u8..9, 0_u8..4), 0..20),
        most in prop::collection::vec(0_u32..12, SIZE),
        demand in 1.0..1500.0_f64,
        cyclic in any::<bool>(),
    ) {
        let mut world = Fixture::new(&[]);
        for (i, most) in most.iter().enumerate() {
            world.service(&format!("s{i}"), *most);
        }
        for (from, to, ratio, strength) in edges {
            let strength =
                if strength == 0 { Strength::Optional } else { Strength::Mandatory };
            let ratio = f64::from(ratio) * if from < to { 0.2 } else { 0.1 };
            if from < to || cyclic {
                let (from, to) = (name(&format!("s{from}")), name(&format!("s{to}")));
                let _ = world.graph.add(&from, &to, calls(ratio, strength));
            }
        }
        let requester = name("s0");
        let Ok(whole) = Spread::new(&world.graph, &requester, &rps(demand)) else { return Ok(()) };
        let caps: Vec<f64> = most.iter().map(|most| f64::from(*most) * 100.0).collect();
        let best = optimum(&world, &requester, demand, &caps);
        let mut wish = world.demand("s0", demand);
        wish.policy.max_rounds = 10;
        let done = world.run(wish);
        let agreement = done.outcome.agreement();
        let fraction = agreement.map_or(0.0, |agreement| agreement.fraction);
        prop_assert!((fraction - best).abs() < 1e-6, "{fraction} of {best}");
        let Some(agreement) = agreement else { return Ok(()) };

        let dropped: BTreeSet<Edge> = agreement.without_optional.iter().cloned().collect();
        let gone = |from: &Name, to: &Name, dropped: &BTreeSet<Edge>| {
            dropped.contains(&Edge { from: from.clone(), to: to.clone() })
        };
        for edge in &dropped {
            let mut fewer = dropped.clone();
            fewer.remove(edge);
            let more = whole.without(|from, to, _| gone(from, to, &fewer)).unwrap();
            // Optional services behind that edge may be dropped for other reasons.
            let more = more.without(|from, to, d| {
                d.strength != Strength::Mandatory
                    && !(from == &edge.from && to == &edge.to)
                    && !agreement.services.contains_key(from)
                    || gone(from, to, &fewer)
            }).unwrap();
            let fits = more.shares().iter().all(|(name, share)| {
                let i: usize = name.as_str()[1..].parse().unwrap();
                let load = share.load.get(Resource::RequestsPerSecond) * fraction;
                load <= caps[i] * (1.0 - 1e-7)
            });
            prop_assert!(!fits, "{edge} would fit");
        }
    }
}
