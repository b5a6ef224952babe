use crate::{
    filter::{Parameters, State},
    form::{Error, Form, Seasonal},
};

/// The forecast of the steps ahead.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// The means.
    pub mean: Vec<f64>,
    /// The variances about them.
    pub variance: Vec<f64>,
}

/// Beyond so many steps, the variance under multiplicative errors is no longer computed step by step, but grows as
/// under additive errors.
const FAR: usize = 1024;

/// The means of the next values, one for each place of `out`: those of the recursions without innovations.
pub fn means(form: Form, parameters: &Parameters, state: &State, out: &mut [f64]) {
    for (mean, base) in out.iter_mut().zip(bases(parameters, state)) {
        *mean = base;
    }
    if form.seasonal == Seasonal::None {
        return;
    }
    let multiply = form.seasonal == Seasonal::Multiplicative;
    for season in &state.seasons {
        let ahead = season.profile.iter().cycle().skip(season.position);
        for (mean, part) in out.iter_mut().zip(ahead) {
            *mean = if multiply { *mean * part } else { *mean + part };
        }
    }
}

/// The variances of the next values about their means, one for each place of `out`, given the innovations'
/// variance: exact where seasons are not multiplicative, and Hyndman, Koehler, Ord & Snyder's
/// approximation where they are (2008, section 6.3).
pub fn variances(form: Form, p: &Parameters, state: &State, variance: f64, out: &mut [f64]) {
    let weights = weights(form, p, state, out.len());
    let mut sums = Vec::with_capacity(out.len());
    let mut sum = 1.0;
    for weight in &weights {
        sums.push(sum);
        sum += weight * weight;
    }
    if form.error == Error::Additive {
        out.iter_mut().zip(&sums).for_each(|(out, sum)| *out = variance * sum);
        return;
    }
    let mut expected = vec![0.0; out.len()];
    means(form, p, state, &mut expected);
    let squares: Vec<f64> = weights.iter().take(FAR).map(|c| c * c).collect();
    // θ_h = μ_h² + σ² Σ c_j² θ_(h−j): the second moment of the expectation, relative to the season if seasons are
    // multiplicative.
    let mut theta: Vec<f64> = Vec::with_capacity(out.len().min(FAR));
    let multiply = form.seasonal == Seasonal::Multiplicative;
    let mut far = (1.0, 1.0);
    for (ahead, (out, base)) in out.iter_mut().zip(bases(p, state)).enumerate() {
        let mean = expected.get(ahead).copied().unwrap_or(base);
        let here = if multiply { base } else { mean };
        let sum = sums.get(ahead).copied().unwrap_or(1.0);
        if ahead >= FAR {
            let (last, then) = far;
            *out = last * sum / then;
            continue;
        }
        let later: f64 = theta.iter().rev().zip(&squares).map(|(t, square)| square * t).sum();
        theta.push(here * here + variance * later);
        let mut second = (here * here + variance * later) * (1.0 + variance);
        if multiply {
            for (season, gamma) in state.seasons.iter().zip(p.seasonal) {
                let periods = (ahead / season.profile.len().max(1)) as i32;
                second *= (1.0 + gamma * gamma * variance).powi(periods);
            }
        }
        let factor = if multiply && here != 0.0 { mean / here } else { 1.0 };
        *out = factor * factor * (second - here * here).max(0.0);
        far = (*out, sum);
    }
}

/// Level, slope and transient at each of the next steps, without the seasons.
fn bases(parameters: &Parameters, state: &State) -> impl Iterator<Item = f64> {
    let (damping, persistence) = (parameters.damping, parameters.persistence);
    let State { level, trend, transient, .. } = *state;
    let first = (0.0, 1.0, transient);
    let next = move |(reach, fading, transient): &mut (f64, f64, f64)| {
        *fading *= damping;
        *reach += *fading;
        *transient *= persistence;
        Some(level + *reach * trend + *transient)
    };
    std::iter::repeat(()).scan(first, move |state, ()| next(state))
}

/// The effect of one unit of innovation on the value so many steps later: α + β(φ + φ² + …) + δρʰ, plus γ after
/// each whole period of an additive season.
fn weights(form: Form, p: &Parameters, state: &State, steps: usize) -> Vec<f64> {
    let (mut reach, mut fading, mut transient) = (0.0, 1.0, p.transient);
    let plain = |_| {
        fading *= p.damping;
        reach += fading;
        transient *= p.persistence;
        p.level + p.trend * reach + transient
    };
    let mut weights: Vec<f64> = (0..steps).map(plain).collect();
    if form.seasonal == Seasonal::Additive {
        for (season, gamma) in state.seasons.iter().zip(p.seasonal) {
            let length = season.profile.len().max(1);
            let rounds = weights.iter_mut().skip(length - 1).step_by(length);
            rounds.for_each(|weight| *weight += gamma);
        }
    }
    weights
}
