//! The same run twice, once with a plugin that fails and once with that plugin healthy: what it does not decide
//! for is decided the same.

use haggle_model::Decision;

use crate::{
    chance::Chance,
    options::Options,
    plan::Plan,
    report::Rule,
    run::run_in,
    subject::Subject,
    world::{Shape, World},
};

/// Every so many seeds are compared.
const EVERY: u64 = 16;

/// Runs a world of two halves that share nothing. The flaky plugin decides for the first; what differs in the
/// second is a violation.
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
        let mine = |decision: &Decision| second.contains(&decision.service);
        let decisions = ran.decisions.into_iter().filter(mine).map(|decision| {
            let Decision { service, from, to, reason, at, .. } = decision;
            format!("{service} from {from} to {to} at {at} for {reason:?}")
        });
        (decisions.collect::<Vec<String>>(), ran.violation)
    };
    let ((flaky, violation), (healthy, _)) = (run(true), run(false));
    if violation.is_some() {
        return violation;
    }
    if flaky == healthy {
        return None;
    }
    let pairs = flaky.iter().zip(&healthy).find(|(a, b)| a != b);
    let text = match pairs {
        Some((a, b)) => format!("{a} while another service's plugin fails, and else {b}"),
        None => format!(
            "{} decisions while another service's plugin fails, and else {}",
            flaky.len(),
            healthy.len()
        ),
    };
    Some((Rule::Isolation, text))
}
