use haggle_sdk::failure_prediction::Example;

use crate::{
    model::{MEMORY, Model, probability},
    optimiser::minimise,
};

/// So many examples are fitted at once; more are dealt into groups of about that size.
const GROUP: usize = 4096;
/// The most steps for one group.
const STEPS: usize = 60;
/// How firmly a new weight is held at 0: as by this many examples of a usual value at even odds.
const FIRMNESS: f64 = 4.0;
/// The intercept is nearly free, so that the model finds the base rate however rare failures are.
const FREE: f64 = 0.01;
/// From so many examples of either outcome on, a calibration is learnt.
const ENOUGH: usize = 8;

/// An instance's features and whether it failed.
struct Outcome {
    row: Vec<f64>,
    failed: bool,
}

/// Learns from examples on top of what the model knows: the weights that are most probable given the
/// examples and a normal prior at the present weights, whose precision is the curvature collected so far
/// (Chapelle & Li, "An empirical evaluation of Thompson sampling", 2011, algorithm 3). Outcomes are not
/// reweighted, so that rare failures get small probabilities, as they should.
///
/// Calibration learns from log-odds given before the examples were learnt from; a new model holds its
/// last fifth back for that first, and then learns from it too.
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
        // Jeffreys' estimate of the base rate is where the intercept starts.
        let rate = (failed + 0.5) / (examples.len() as f64 + 1.0);
        model.intercept.weight = (rate / (1.0 - rate)).ln();
    }
    // Dealt like cards, so that each group has its part of every time and instance.
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
