//! Whether an answer keeps the contract. Where each item has its own answer, one that does not becomes a
//! fault and the others stand; what was wrong with those is returned. A wrong number of answers makes the
//! whole call nonsense.

use crate::{
    bidding::{self, Bid, ComputeUnit, Inquiry},
    contract::types::Fault,
    failure_prediction::{Risk, Vitals},
    forecasting::{Fitted, Interval, Outlook, Panel, Task},
    tiering::{ApiState, Assignment},
};

/// The most bytes of the model of one series, and of what a panel shares; as promised in `wit/`.
const SERIES_MODEL: usize = 64 << 10;
const SHARED_MODEL: usize = 16 << 20;

pub(crate) fn fitted(panel: &Panel, fitted: &mut Fitted) -> Result<Vec<String>, String> {
    same_length("models", fitted.per_series.len(), "series", panel.series.len())?;
    if fitted.shared.as_ref().is_some_and(|shared| shared.len() > SHARED_MODEL) {
        return Err(format!("the shared model has more than {SHARED_MODEL} bytes"));
    }
    each(&panel.series, &mut fitted.per_series, "models", "series", |_, model| {
        if model.len() > SERIES_MODEL {
            return Err(format!("a model has {} bytes, at most {SERIES_MODEL}", model.len()));
        }
        Ok(())
    })
}

pub(crate) fn outlooks(
    tasks: &[Task],
    outlooks: &mut [Result<Outlook, Fault>],
) -> Result<Vec<String>, String> {
    each(tasks, outlooks, "outlooks", "tasks", outlook)
}

pub(crate) fn risks(
    subjects: &[Vitals],
    risks: &mut [Result<Risk, Fault>],
) -> Result<Vec<String>, String> {
    each(subjects, risks, "risks", "subjects", |_, risk| {
        share("probability", risk.probability)?;
        if risk.drivers.len() > 10 {
            return Err(format!("{} drivers, at most 10", risk.drivers.len()));
        }
        risk.drivers
            .iter()
            .try_for_each(|driver| finite("a driver's contribution", driver.contribution))
    })
}

pub(crate) fn answers(
    inquiries: &[Inquiry],
    answers: &mut [Result<bidding::Answer, Fault>],
) -> Result<Vec<String>, String> {
    each(inquiries, answers, "answers", "inquiries", |inquiry, answer| {
        let bidding::Answer::Counter(offer) = answer else { return Ok(()) };
        for (i, offered) in offer.quantities.iter().enumerate() {
            let resource = offered.resource;
            amount("an offered amount", offered.amount)?;
            if offer.quantities.iter().take(i).any(|earlier| earlier.resource == resource) {
                return Err(format!("{resource:?} is offered twice"));
            }
            let asked = inquiry.proposal.asks.iter().find(|ask| ask.resource == resource);
            match asked {
                None => return Err(format!("{resource:?} is offered and was not asked for")),
                // Rounding in the guest is no reason to refuse.
                Some(asked) if offered.amount > asked.amount * (1.0 + 1e-9) => {
                    let (more, less) = (offered.amount, asked.amount);
                    return Err(format!(
                        "{more} of {resource:?} is offered and {less} was asked for"
                    ));
                }
                Some(_) => {}
            }
        }
        Ok(())
    })
}

pub(crate) fn bids(inventory: &[ComputeUnit], bids: &[Bid]) -> Result<(), String> {
    for (i, bid) in bids.iter().enumerate() {
        let wrong = |what: String| format!("bid {i}: {what}");
        let known =
            inventory.iter().any(|unit| unit.id == bid.unit && unit.provider == bid.provider);
        if !known {
            return Err(wrong(format!("unit {:?} is not in the inventory", short(&bid.unit))));
        }
        if bid.count == 0 {
            return Err(wrong("count is 0".to_owned()));
        }
        amount("price-per-hour", bid.price_per_hour).map_err(wrong)?;
        amount("performance", bid.performance).map_err(wrong)?;
        share("availability", bid.guarantees.availability).map_err(wrong)?;
        share("interruption-rate", bid.guarantees.interruption_rate).map_err(wrong)?;
    }
    Ok(())
}

pub(crate) fn scores(bids: &[Bid], scores: &[f64]) -> Result<(), String> {
    same_length("scores", scores.len(), "bids", bids.len())?;
    scores.iter().try_for_each(|score| finite("a score", *score))
}

pub(crate) fn assignments(apis: &[ApiState], assignments: &[Assignment]) -> Result<(), String> {
    same_length("assignments", assignments.len(), "APIs", apis.len())?;
    assignments.iter().try_for_each(|assignment| share("share", assignment.share))?;
    let total: f64 = assignments.iter().map(|assignment| assignment.share).sum();
    if total > 1.0 + 1e-6 {
        return Err(format!("the shares add up to {total}, more than the pool"));
    }
    Ok(())
}

fn outlook(task: &Task, outlook: &Outlook) -> Result<(), String> {
    let steps = task.horizon as usize;
    same_length("means", outlook.mean.len(), "steps", steps)?;
    outlook.mean.iter().try_for_each(|mean| finite("a mean", *mean))?;
    share("confidence", outlook.confidence)?;
    same_length("intervals", outlook.intervals.len(), "levels", task.levels.len())?;
    let mut inner: Option<&Interval> = None;
    for (interval, level) in outlook.intervals.iter().zip(&task.levels) {
        if interval.level != *level {
            return Err(format!("interval {} where {level} was asked for", interval.level));
        }
        same_length("lower bounds", interval.lower.len(), "steps", steps)?;
        same_length("upper bounds", interval.upper.len(), "steps", steps)?;
        for (step, (lower, upper)) in interval.lower.iter().zip(&interval.upper).enumerate() {
            finite("a lower bound", *lower)?;
            finite("an upper bound", *upper)?;
            if lower > upper {
                return Err(format!(
                    "interval {level}, step {}: {lower} to {upper} is the wrong way round",
                    step + 1
                ));
            }
        }
        if inner.is_some_and(|inner| !encloses(interval, inner)) {
            return Err(format!("interval {level} does not enclose the one before it"));
        }
        inner = Some(interval);
    }
    Ok(())
}

fn encloses(outer: &Interval, inner: &Interval) -> bool {
    let below = outer.lower.iter().zip(&inner.lower).all(|(outer, inner)| outer <= inner);
    below && outer.upper.iter().zip(&inner.upper).all(|(outer, inner)| outer >= inner)
}

fn each<Q, A>(
    questions: &[Q],
    answers: &mut [Result<A, Fault>],
    what: &str,
    of: &str,
    check: impl Fn(&Q, &A) -> Result<(), String>,
) -> Result<Vec<String>, String> {
    same_length(what, answers.len(), of, questions.len())?;
    let mut broken = Vec::new();
    for (question, answer) in questions.iter().zip(answers) {
        if let Ok(given) = answer
            && let Err(wrong) = check(question, given)
        {
            *answer = Err(Fault::Internal(format!("the answer breaks the contract: {wrong}")));
            broken.push(wrong);
        }
    }
    Ok(broken)
}

fn same_length(what: &str, count: usize, of: &str, expected: usize) -> Result<(), String> {
    if count == expected { Ok(()) } else { Err(format!("{count} {what} for {expected} {of}")) }
}

fn finite(what: &str, value: f64) -> Result<(), String> {
    if value.is_finite() { Ok(()) } else { Err(format!("{what} is {value}")) }
}

fn amount(what: &str, value: f64) -> Result<(), String> {
    if value.is_finite() && value >= 0.0 {
        Ok(())
    } else {
        Err(format!("{what} is {value}: it must be finite and not negative"))
    }
}

fn share(what: &str, value: f64) -> Result<(), String> {
    if (0.0..=1.0).contains(&value) {
        Ok(())
    } else {
        Err(format!("{what} is {value}: it must lie between 0 and 1"))
    }
}

/// Enough of a guest's text to recognise it.
fn short(text: &str) -> String {
    text.chars().take(63).collect()
}

#[cfg(test)]
mod tests {
    use super::{Fault, Interval, Outlook, Task, outlooks};
    use crate::forecasting::Series;

    fn check(mean: f64, lower: [f64; 2], upper: [f64; 2], confidence: f64) -> Option<String> {
        let series =
            Series { id: String::new(), start: 0, step: 1, values: vec![1.0], non_negative: true };
        let task = Task { series, model: None, horizon: 1, levels: vec![0.8, 0.95] };
        let interval =
            |i: usize, level| Interval { level, lower: vec![lower[i]], upper: vec![upper[i]] };
        let intervals = vec![interval(0, 0.8), interval(1, 0.95)];
        let mut all = [Ok(Outlook { mean: vec![mean], intervals, confidence })];
        outlooks(&[task], &mut all).unwrap();
        match all.into_iter().next().unwrap() {
            Ok(_) => None,
            Err(Fault::Internal(text)) => Some(text),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_outlook_that_breaks_the_contract_becomes_a_fault() {
        assert_eq!(check(2.0, [1.0, 0.0], [3.0, 4.0], 0.5), None);
        for (fault, text) in [
            (check(f64::NAN, [1.0, 0.0], [3.0, 4.0], 0.5), "a mean is NaN"),
            (check(2.0, [1.0, 0.0], [f64::INFINITY, 4.0], 0.5), "an upper bound is inf"),
            (check(2.0, [3.0, 0.0], [1.0, 4.0], 0.5), "wrong way round"),
            (check(2.0, [1.0, 2.0], [3.0, 4.0], 0.5), "does not enclose"),
            (check(2.0, [1.0, 0.0], [3.0, 4.0], 1.5), "confidence is 1.5"),
        ] {
            assert!(fault.as_ref().is_some_and(|fault| fault.contains(text)), "{fault:?}");
        }
    }
}
