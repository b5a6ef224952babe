use std::ops::ControlFlow;

use crate::filter::{Parameters, Reach, State};

/// The horizons at which forecasts are compared with what came: the first step, the last, and two
/// between, as far as the history allows.
#[must_use]
pub fn anchors(horizon: u32, origins: usize) -> Vec<usize> {
    let last = (horizon as usize).min(origins / 2).max(1);
    let mut anchors = vec![1, last.div_ceil(3), (2 * last).div_ceil(3), last];
    anchors.sort_unstable();
    anchors.dedup();
    anchors
}

/// Runs the recursions over the values and tells `told` the error of the forecast from every origin
/// after the first `from` values at every anchor: the anchor's place, and what came minus what was
/// expected. It ends early where `told` breaks.
pub fn run(
    state: &mut State,
    parameters: &Parameters,
    values: &[f64],
    anchors: &[usize],
    from: usize,
    mut told: impl FnMut(usize, f64) -> ControlFlow<()>,
) {
    let last = anchors.last().copied().unwrap_or(1);
    let reaches: Vec<Reach> = Reach::every(parameters).take(last).collect();
    let ahead: Vec<(usize, Reach)> =
        anchors.iter().filter_map(|h| Some((h - 1, *reaches.get(h - 1)?))).collect();
    for (time, value) in values.iter().enumerate() {
        if time >= from {
            for (place, (ahead, reach)) in ahead.iter().enumerate() {
                let Some(came) = values.get(time + ahead) else { break };
                let error = came - state.expect(*ahead, reach);
                if !error.is_nan() && told(place, error).is_break() {
                    return;
                }
            }
        }
        state.update(*value, parameters);
    }
}

/// Past forecasts of a history as the measure of parameters.
#[derive(Clone, Debug)]
pub struct Trial<'a> {
    /// The history.
    pub values: &'a [f64],
    /// The horizons.
    pub anchors: Vec<usize>,
    /// The first values that are not judged.
    pub from: usize,
    /// What an error at each anchor weighs.
    weights: Vec<f64>,
}

impl<'a> Trial<'a> {
    /// Judges forecasts at the anchors from every origin after the first `from` values.
    #[must_use]
    pub fn new(values: &'a [f64], anchors: Vec<usize>, from: usize) -> Self {
        let count = |h: &usize| {
            let judged = values.get(from + h - 1..).unwrap_or_default();
            judged.iter().filter(|value| !value.is_nan()).count().max(1) as f64
        };
        let weights = anchors.iter().map(|h| 1.0 / (count(h) * anchors.len() as f64)).collect();
        Self { values, anchors, from, weights }
    }

    /// The mean over the anchors of the mean absolute error at each; infinite as soon as it exceeds
    /// `limit`, because then it no longer matters by how much.
    #[must_use]
    pub fn loss(&self, mut state: State, parameters: &Parameters, limit: f64) -> f64 {
        let mut loss = 0.0;
        run(&mut state, parameters, self.values, &self.anchors, self.from, |place, error| {
            loss += error.abs() * self.weights.get(place).copied().unwrap_or(0.0);
            if loss > limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if loss > limit { f64::INFINITY } else { loss }
    }
}
