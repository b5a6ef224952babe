//! Checks answers against the contract. If each item has its own answer, an invalid one becomes a fault and
//! the others remain; an invalid bid is omitted. The checks return the affected items. A wrong number of
//! answers invalidates the whole call, because they cannot be matched to the items.

use std::fmt;

use crate::{
    answering::{Answer, Inquiry},
    contract::types::Fault,
    failure_prediction::{Risk, Vitals},
    forecasting::{Bounds, Fitted, Interval, Outlook, Panel, Task},
    market::Bid,
    selling::ComputeUnit,
    text,
    tiering::{Assignment, ServiceState},
};

/// Maximum sizes in bytes of the model of one series, of a panel's shared model, and of a failure predictor's
/// model, as documented in `wit/`.
const SERIES_MODEL: usize = 4 << 20;
const SHARED_MODEL: usize = 16 << 20;
const LEARNT_MODEL: usize = 16 << 20;

/// Maximum number of contributions to a risk.
const CONTRIBUTIONS: usize = 10;

/// Tolerance for the guest's rounding errors: relative to the requested amount, and absolute below 0.
const ROUNDING: f64 = 1e-9;

/// An item of an answer that broke the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Its index in the answer, from 0.
    pub item: usize,
    /// The violation.
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "item {}: {}", self.item, self.what)
    }
}

impl Broken {
    /// The fault that replaces the item.
    fn fault(&self) -> Fault {
        Fault::Internal(format!("nonsense: {}", self.what))
    }
}

pub(crate) fn fitted(panel: &Panel, fitted: &mut Fitted) -> Result<Vec<Broken>, String> {
    same_length("models", fitted.models.len(), "series", panel.series.len())?;
    if let Some(shared) = &fitted.shared {
        bytes("the shared model", shared.len(), SHARED_MODEL)?;
    }
    each(&panel.series, &mut fitted.models, "models", "series", |_, model| {
        bytes("a model", model.len(), SERIES_MODEL)
    })
}

pub(crate) fn learnt(model: &[u8]) -> Result<(), String> {
    bytes("the model", model.len(), LEARNT_MODEL)
}

pub(crate) fn outlooks(
    tasks: &[Task],
    outlooks: &mut [Result<Outlook, Fault>],
) -> Result<Vec<Broken>, String> {
    each(tasks, outlooks, "outlooks", "tasks", |task, answer| outlook(task, answer))
}

pub(crate) fn risks(
    instances: &[Vitals],
    risks: &mut [Result<Risk, Fault>],
) -> Result<Vec<Broken>, String> {
    each(instances, risks, "risks", "instances", |_, risk| {
        share("probability", risk.probability)?;
        let count = risk.contributions.len();
        if count > CONTRIBUTIONS {
            return Err(format!("{count} contributions, at most {CONTRIBUTIONS}"));
        }
        for contribution in &mut risk.contributions {
            finite("the log-odds of a contribution", contribution.log_odds)?;
            text::cut(&mut contribution.metric, text::MOST);
        }
        Ok(())
    })
}

pub(crate) fn answers(
    inquiries: &[Inquiry],
    answers: &mut [Result<Answer, Fault>],
) -> Result<Vec<Broken>, String> {
    each(inquiries, answers, "answers", "inquiries", |inquiry, answer| {
        let offer = match answer {
            Answer::Accept => return Ok(()),
            Answer::Reject(reason) => {
                text::cut(reason, text::MOST);
                return Ok(());
            }
            Answer::Counter(offer) => offer,
        };
        text::cut(&mut offer.reason, text::MOST);
        for (i, offered) in offer.quantities.iter().enumerate() {
            let kind = offered.kind;
            amount("an offered amount", offered.amount)?;
            if offer.quantities.iter().take(i).any(|earlier| earlier.kind == kind) {
                return Err(format!("{kind:?} is offered twice"));
            }
            match inquiry.asks.iter().find(|ask| ask.kind == kind) {
                None => return Err(format!("{kind:?} is offered and was not requested")),
                // Rounding errors of the guest are not a violation.
                Some(ask) if offered.amount > ask.requested * (1.0 + ROUNDING) => {
                    let (more, less) = (offered.amount, ask.requested);
                    return Err(format!("{more} of {kind:?} is offered and {less} was requested"));
                }
                Some(_) => {}
            }
        }
        Ok(())
    })
}

/// Omits bids that break the contract. If no valid bid remains, the whole answer is invalid: a provider that
/// bids nothing must return an empty list.
pub(crate) fn bids(inventory: &[ComputeUnit], bids: &mut Vec<Bid>) -> Result<Vec<Broken>, String> {
    let mut broken = Vec::new();
    let mut item = 0;
    bids.retain_mut(|offered| {
        let checked = bid(inventory, offered);
        let good = checked.is_ok();
        broken.extend(checked.err().map(|what| Broken { item, what }));
        item += 1;
        good
    });
    match broken.first() {
        Some(first) if bids.is_empty() => Err(format!("bid {}: {}", first.item, first.what)),
        _ => Ok(broken),
    }
}

fn bid(inventory: &[ComputeUnit], bid: &mut Bid) -> Result<(), String> {
    let known = inventory.iter().any(|unit| unit.id == bid.unit && unit.provider == bid.provider);
    if !known {
        let mut unit = bid.unit.clone();
        text::cut(&mut unit, 63);
        return Err(format!("unit {unit:?} is not in the inventory"));
    }
    if bid.count == 0 {
        return Err("count is 0".to_owned());
    }
    text::cut(&mut bid.location, text::MOST);
    amount("price-per-hour", bid.price_per_hour)?;
    amount("performance", bid.performance)?;
    share("availability", bid.guarantees.availability)?;
    share("interruption-rate", bid.guarantees.interruption_rate)
}

pub(crate) fn scores(bids: &[Bid], scores: &[f64]) -> Result<(), String> {
    same_length("scores", scores.len(), "bids", bids.len())?;
    scores.iter().try_for_each(|score| finite("a score", *score))
}

/// The shares depend on one another, so one invalid share invalidates all.
pub(crate) fn assignments(
    services: &[ServiceState],
    assignments: &mut [Assignment],
) -> Result<(), String> {
    same_length("assignments", assignments.len(), "services", services.len())?;
    for assignment in assignments.iter_mut() {
        share("share", assignment.share)?;
        text::cut(&mut assignment.reason, text::MOST);
    }
    let total: f64 = assignments.iter().map(|assignment| assignment.share).sum();
    if total > 1.0 + 1e-6 {
        return Err(format!("the shares add up to {total}, more than 1"));
    }
    Ok(())
}

/// Truncates the text of a fault.
pub(crate) fn short(mut fault: Fault) -> Fault {
    let (Fault::InvalidInput(why)
    | Fault::InsufficientData(why)
    | Fault::IncompatibleModel(why)
    | Fault::Internal(why)) = &mut fault;
    text::cut(why, text::MOST);
    fault
}

fn outlook(task: &Task, outlook: &Outlook) -> Result<(), String> {
    let steps = task.horizon_steps as usize;
    let possible = |what: &str, value: f64| {
        finite(what, value)?;
        if task.series.non_negative && value < -ROUNDING {
            return Err(format!("{what} is {value}, and the series is never negative"));
        }
        Ok(())
    };
    same_length("means", outlook.mean.len(), "steps", steps)?;
    outlook.mean.iter().try_for_each(|mean| possible("a mean", *mean))?;
    share("confidence", outlook.confidence)?;
    same_length("intervals", outlook.intervals.len(), "levels", task.levels.len())?;
    let mut inner: Option<&Interval> = None;
    for (interval, level) in outlook.intervals.iter().zip(&task.levels) {
        if interval.level != *level {
            return Err(format!("interval {} where {level} was asked for", interval.level));
        }
        same_length("bounds", interval.bounds.len(), "steps", steps)?;
        for (step, Bounds { lower, upper }) in interval.bounds.iter().enumerate() {
            possible("a lower bound", *lower)?;
            possible("an upper bound", *upper)?;
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
    let mut pairs = outer.bounds.iter().zip(&inner.bounds);
    pairs.all(|(outer, inner)| outer.lower <= inner.lower && outer.upper >= inner.upper)
}

fn each<Q, A>(
    questions: &[Q],
    answers: &mut [Result<A, Fault>],
    what: &str,
    of: &str,
    check: impl Fn(&Q, &mut A) -> Result<(), String>,
) -> Result<Vec<Broken>, String> {
    same_length(what, answers.len(), of, questions.len())?;
    let mut all_broken = Vec::new();
    for (item, (question, answer)) in questions.iter().zip(answers).enumerate() {
        match answer {
            Ok(given) => {
                if let Err(what) = check(question, given) {
                    let broken = Broken { item, what };
                    *answer = Err(broken.fault());
                    all_broken.push(broken);
                }
            }
            Err(fault) => *fault = short(fault.clone()),
        }
    }
    Ok(all_broken)
}

fn bytes(what: &str, actual: usize, most: usize) -> Result<(), String> {
    if actual <= most { Ok(()) } else { Err(format!("{what} has {actual} bytes, at most {most}")) }
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

#[cfg(test)]
mod tests;
