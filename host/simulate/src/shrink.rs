use std::collections::BTreeSet;

use crate::{
    options::Options,
    plan::Plan,
    report::Violation,
    run::{Ran, run},
    subject::Subject,
};

/// The maximum length of a reported trace in lines. The end of the trace is kept.
const MOST_LINES: usize = 2_000;

/// Removes the parts of a run that are not needed to violate the same rule: first large parts of the
/// script, then smaller ones down to single entries, then kinds of faults.
pub(crate) fn shrink<S: Subject>(
    options: &Options,
    seed: u64,
    found: &Ran,
    subject: &impl Fn() -> S,
) -> Option<Violation> {
    let rule = found.violation.as_ref()?.0;
    let fails = |plan: &Plan| {
        let ran = run(options, seed, plan, subject(), false);
        ran.violation.as_ref().is_some_and(|(seen, _)| *seen == rule)
    };
    let mut plan = Plan { happenings: Some((0..found.happenings).collect()), ..Plan::whole() };
    let mut size = found.happenings.div_ceil(2);
    while size > 0 {
        let all: Vec<usize> = plan.happenings.iter().flatten().copied().collect();
        for part in all.chunks(size) {
            let left: BTreeSet<usize> =
                plan.happenings.iter().flatten().filter(|n| !part.contains(n)).copied().collect();
            let smaller = Plan { happenings: Some(left), ..plan.clone() };
            if fails(&smaller) {
                plan = smaller;
            }
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
    for place in 0..plan.clone().switches().len() {
        let mut smaller = plan.clone();
        if let Some((_, on)) = smaller.switches().into_iter().nth(place) {
            *on = false;
        }
        if fails(&smaller) {
            plan = smaller;
        }
    }
    let Ran { tally, mut trace, violation, .. } = run(options, seed, &plan, subject(), true);
    let (rule, text) = violation?;
    trace.drain(..trace.len().saturating_sub(MOST_LINES));
    Some(Violation { seed, step: tally.steps, rule, text, needs: plan.to_string(), trace })
}
