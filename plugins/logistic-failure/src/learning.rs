use haggle_sdk::failure_prediction::Example;

use crate::{
    model::{MEMORY, Model, probability},
    optimiser::minimise,
};

/// The largest number of examples that are fitted at once; more are divided into groups of at most that size.
const GROUP: usize = 4096;
/// The most steps for one group.
const STEPS: usize = 60;
/// The precision of the prior that holds a new weight at 0: that of 16 examples of a usual value at even odds.
const FIRMNESS: f64 = 4.0;
/// The intercept is nearly free, so that the model finds the base rate however rare failures are.
const FREE: f64 = 0.01;
/// A calibration is learnt from at least so many examples of either outcome.
const ENOUGH: usize = 8;

/// An instance's features and whether it failed.
struct Outcome {
    row: Vec<f64>,
    failed: bool,
}

/// Updates a model with examples. The new weights are the most probable ones given the examples and a normal prior
/// at the present weights, whose precision is the curvature collected so far (Chapelle & Li, "An empirical
/// evaluation of Thompson sampling", 2011, algorithm 3). Outcomes are not reweighted, so that rare failures get
/// small probabilities.
///
/// The calibration learns from log-odds that the model gave before it learnt from the examples. A new model
/// therefore holds back the last fifth of its examples at first, and learns from these afterwards.
pub fn learn(model: &mut Model, examples: &[Example]) {
    if model.examples < 1.0 {
        let (first, held) = examples.split_at(examples.len() - examples.len() / 5);
        if calibrates(held) {
            let mut trial = model.clone();
            absorb(&mut trial, first);
            model.calibration = calibrated(&trial, held);
        }
    } else if calibrates(examples) {
        model.calibration = calibrated(model, examples);
    }
    absorb(model, examples);
}

fn calibrates(examples: &[Example]) -> bool {
    let failed = examples.iter().filter(|example| example.failed).count();
    failed >= ENOUGH && examples.len() - failed >= ENOUGH
}

fn calibrated(model: &Model, examples: &[Example]) -> crate::Calibration {
    let mut calibration = model.calibration;
    let given = |example: &Example| (model.log_odds(&model.row(&example.vitals)), example.failed);
    calibration.learn(&examples.iter().map(given).collect::<Vec<_>>());
    calibration
}

fn absorb(model: &mut Model, examples: &[Example]) {
    model.observe(examples.iter().map(|example| &example.vitals));
    let failed = examples.iter().filter(|example| example.failed).count() as f64;
    if model.examples < 1.0 {
        // The intercept starts at Jeffreys' estimate of the base rate.
        let rate = (failed + 0.5) / (examples.len() as f64 + 1.0);
        model.intercept.weight = (rate / (1.0 - rate)).ln();
    }
    // The examples are assigned to the groups in turn, so that each group covers all times and instances.
    let groups = examples.len().div_ceil(GROUP);
    for group in 0..groups {
        let outcome =
            |example: &Example| Outcome { row: model.row(&example.vitals), failed: example.failed };
        let outcomes: Vec<Outcome> =
            examples.iter().skip(group).step_by(groups).map(outcome).collect();
        fit(model, &outcomes);
    }
    model.examples += examples.len() as f64;
    model.failures += failed;
    let fade = (MEMORY / model.examples).min(1.0);
    (model.examples, model.failures) = (model.examples * fade, model.failures * fade);
    model.knowledge_mut().for_each(|knowledge| knowledge.precision *= fade);
}

fn fit(model: &mut Model, outcomes: &[Outcome]) {
    let prior: Vec<(f64, f64)> = model
        .knowledge()
        .enumerate()
        .map(|(place, k)| (k.weight, k.precision + if place == 0 { FREE } else { FIRMNESS }))
        .collect();
    let loss = |weights: &[f64]| {
        let off = weights.iter().zip(&prior).map(|(w, (mean, firm))| (w - mean, firm));
        let mut value: f64 = off.clone().map(|(d, firm)| 0.5 * firm * d * d).sum();
        let mut gradient: Vec<f64> = off.map(|(d, firm)| firm * d).collect();
        for outcome in outcomes {
            let x = log_odds(weights, &outcome.row);
            let sign = if outcome.failed { -1.0 } else { 1.0 };
            // ln(1 + exp(sign · x)), which must not overflow.
            value += (sign * x).max(0.0) + (-x.abs()).exp().ln_1p();
            let slope = probability(x) - f64::from(u8::from(outcome.failed));
            add_row(&mut gradient, slope, &outcome.row);
        }
        (value, gradient)
    };
    let weights = minimise(prior.iter().map(|(mean, _)| *mean).collect(), STEPS, loss);
    let mut curvature = vec![0.0; weights.len()];
    for outcome in outcomes {
        let p = probability(log_odds(&weights, &outcome.row));
        let squares: Vec<f64> = outcome.row.iter().map(|x| x * x).collect();
        add_row(&mut curvature, p * (1.0 - p), &squares);
    }
    for ((knowledge, weight), more) in model.knowledge_mut().zip(weights).zip(curvature) {
        knowledge.weight = weight;
        knowledge.precision += more;
    }
}

fn log_odds(weights: &[f64], row: &[f64]) -> f64 {
    let Some((intercept, weights)) = weights.split_first() else { return 0.0 };
    intercept + weights.iter().zip(row).map(|(weight, value)| weight * value).sum::<f64>()
}

/// Adds `times` the row, with a 1 for the intercept before it.
fn add_row(to: &mut [f64], times: f64, row: &[f64]) {
    if let Some((intercept, rest)) = to.split_first_mut() {
        *intercept += times;
        rest.iter_mut().zip(row).for_each(|(sum, value)| *sum += times * value);
    }
}
