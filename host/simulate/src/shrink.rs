use crate::{
    coordinator::Coordinator,
    options::Options,
    plan::Plan,
    report::Violation,
    run::{Ran, run},
};

/// The longest trace of a violation that is kept; its end is what matters.
const MOST_LINES: usize = 2_000;

/// Leaves out of a run whatever is not needed for a violation of the same rule: negotiations, crashes,
/// then reclaims, losses, duplicates and delays, until nothing more can be left out.
pub(crate) fn shrink<C: Coordinator>(
    options: &Options,
    seed: u64,
    found: &Ran,
    host: &impl Fn() -> C,
) -> Option<Violation> {
    let rule = found.violation.as_ref()?.0;
    let fails = |plan: &Plan| {
        let ran = run(options, seed, plan, host(), false);
        ran.violation.as_ref().is_some_and(|(seen, _)| *seen == rule)
    };
    let wishes = (0..options.sessions).collect();
    let mut plan =
        Plan { wishes: Some(wishes), crash_steps: Some(found.crashes.clone()), ..Plan::whole() };
    loop {
        let before = plan.clone();
        for smaller in smaller(&plan) {
            if fails(&smaller) {
                plan = smaller;
                break;
            }
        }
        if plan == before {
            break;
        }
    }
    let Ran { tally, mut trace, violation, .. } = run(options, seed, &plan, host(), true);
    let (rule, text) = violation?;
    trace.drain(..trace.len().saturating_sub(MOST_LINES));
    Some(Violation { seed, step: tally.steps, rule, text, needs: plan.to_string(), trace })
}

/// Every plan with one thing less.
fn smaller(plan: &Plan) -> Vec<Plan> {
    let mut plans = Vec::new();
    for wish in plan.wishes.iter().flatten() {
        let mut fewer = plan.clone();
        fewer.wishes.iter_mut().for_each(|wishes| {
            wishes.remove(wish);
        });
        plans.push(fewer);
    }
    if plan.crash_steps.as_ref().is_some_and(|steps| !steps.is_empty()) {
        plans.push(Plan { crash_steps: Some(Default::default()), ..plan.clone() });
    }
    for step in plan.crash_steps.iter().flatten() {
        let mut fewer = plan.clone();
        fewer.crash_steps.iter_mut().for_each(|steps| {
            steps.remove(step);
        });
        plans.push(fewer);
    }
    if plan.reclaims {
        plans.push(Plan { reclaims: false, ..plan.clone() });
    }
    if plan.loses {
        plans.push(Plan { loses: false, ..plan.clone() });
    }
    if plan.duplicates {
        plans.push(Plan { duplicates: false, ..plan.clone() });
    }
    if plan.delays {
        plans.push(Plan { delays: false, ..plan.clone() });
    }
    plans
}
