//! Runs a world twice, once with a failing plugin and once with that plugin healthy. Services that the
//! plugin does not decide for must get the same decisions, within one pass.

use std::collections::BTreeMap;

use haggle_model::{Decision, Name, Timestamp};

use crate::{
    chance::Chance,
    options::Options,
    plan::Plan,
    report::Rule,
    run::run_in,
    subject::Subject,
    world::{INTERVAL, Shape, World},
};

/// Every seed divisible by this number is compared.
const EVERY: u64 = 16;

/// Runs a world of two halves that share nothing. The flaky plugin decides for the first half. Any
/// difference in the second half is a violation.
pub(crate) fn compare<S: Subject>(
    options: &Options,
    seed: u64,
    subject: &impl Fn() -> S,
) -> Option<(Rule, String)> {
    if !seed.is_multiple_of(EVERY) {
        return None;
    }
    let world = World::random(options, Chance::new(seed), Shape::Halves);
    let second: Vec<_> =
        world.services.iter().skip(1).step_by(2).map(|service| service.name.clone()).collect();
    let run = |faults| {
        let plan = Plan { faults, ..Plan::whole() };
        let ran = run_in(options, seed, &plan, subject(), false, Shape::Halves);
        let mut mine: BTreeMap<Name, Vec<Decision>> = BTreeMap::new();
        for decision in ran.decisions.into_iter().filter(|d| second.contains(&d.service)) {
            mine.entry(decision.service.clone()).or_default().push(decision);
        }
        (mine, ran.violation, ran.ended)
    };
    let ((flaky, violation, end), (healthy, ..)) = (run(true), run(false));
    if violation.is_some() {
        return violation;
    }
    let none = Vec::new();
    second.iter().find_map(|name| {
        let (flaky, healthy) = (flaky.get(name), healthy.get(name));
        let differs = difference(flaky.unwrap_or(&none), healthy.unwrap_or(&none), end)?;
        Some((Rule::Isolation, format!("{differs} where another service's plugin is healthy")))
    })
}

/// The first difference between the decisions. Plugin answers take different times in the two runs, so a
/// decision may come one pass later, or be cut off by the end of the run.
fn difference(flaky: &[Decision], healthy: &[Decision], end: Timestamp) -> Option<String> {
    let text = |decision: &Decision| {
        let Decision { service, from, to, reason, at, .. } = decision;
        format!("{service} from {from} to {to} at {at} for {reason:?}")
    };
    let near = |a: Timestamp, b: Timestamp| a.max(b).since(a.min(b)) < INTERVAL + INTERVAL;
    for (a, b) in flaky.iter().zip(healthy) {
        let alike = (a.from, a.to, a.reason) == (b.from, b.to, b.reason) && near(a.at, b.at);
        if !alike {
            return Some(format!("{}, but {}", text(a), text(b)));
        }
    }
    let common = flaky.len().min(healthy.len());
    let rest = flaky.iter().skip(common).chain(healthy.iter().skip(common));
    let mut rest = rest.filter(|decision| !near(decision.at, end));
    rest.next().map(|one| format!("only one run has {}", text(one)))
}
