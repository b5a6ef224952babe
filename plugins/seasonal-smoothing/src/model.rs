use std::ops::ControlFlow;

use crate::{
    filter::{Parameters, State, deviations},
    initial::initial,
    quantiles::Quantiles,
    scale::Scale,
    search::{Choice, search},
    season::candidates,
    trial::run,
};

/// A fitted series: how it is smoothed, where it stands, and how far off its forecasts were.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The scale of everything below.
    pub scale: Scale,
    /// The parameters.
    pub parameters: Parameters,
    /// After the last value.
    pub state: State,
    /// The usual innovation when it was fitted.
    pub noise: f64,
    /// The distribution of errors at some horizons, the shortest first.
    pub errors: Vec<Quantiles>,
    /// 0 to 1, see [`Model::fit`].
    pub confidence: f64,
    /// Where the next value belongs, in milliseconds since the epoch.
    pub next: u64,
    /// The distance between two values in milliseconds.
    pub step: u64,
}

/// What a fit is told of a series.
#[derive(Clone, Copy, Debug)]
pub struct History<'a> {
    /// The values, oldest first; NaN is missing.
    pub values: &'a [f64],
    /// The time of the first one.
    pub start: u64,
    /// The distance between two.
    pub step: u64,
}

impl Model {
    /// Fits a history for forecasts of up to `horizon` steps; none if no value is present.
    ///
    /// The confidence is `exp(-r / 4) · n / (n + 8)`: `r` is the mean absolute error of the past forecasts
    /// over the horizon relative to the mean absolute change from one value to the next, and `n` is the
    /// number of values. White noise has about 0.8, a random walk 0.55 over 12 steps and 0.3 over 48.
    #[must_use]
    pub fn fit(history: History<'_>, seasons: &[u32], horizon: u32) -> Option<Self> {
        let scale = Scale::of(history.values)?;
        let values: Vec<f64> = history.values.iter().map(|value| scale.apply(*value)).collect();
        let candidates = candidates(&values, seasons, history.step);
        let choice = search(&values, &candidates, horizon);
        Some(Self::settle(history, &values, scale, choice))
    }

    /// Takes in a history with everything chosen already: one pass.
    fn settle(history: History<'_>, values: &[f64], scale: Scale, choice: Choice) -> Self {
        let Choice { seasons, parameters, anchors, from } = choice;
        let mut state = initial(values, &seasons, from);
        let mut errors: Vec<Vec<f64>> = vec![Vec::new(); anchors.len()];
        run(&mut state, &parameters, values, &anchors, from, |place, error| {
            if let Some(errors) = errors.get_mut(place) {
                errors.push(error);
            }
            ControlFlow::Continue(())
        });
        let confidence = confidence(&errors, values);
        let one = errors.first().map_or(0.0, |errors| root_mean_square(errors));
        // A history that was forecast without any error may yet be off by what its scale allows.
        let one = one.max(2.0 / values.len().max(1) as f64);
        let spread = |h: usize| one * deviation(&parameters, &seasons, h);
        let errors = anchors.iter().zip(errors);
        let errors =
            errors.map(|(h, mut errors)| Quantiles::of(&mut errors, *h as u32, spread(*h)));
        let end = history.step.saturating_mul(values.len() as u64);
        Self {
            scale,
            parameters,
            noise: state.noise,
            errors: errors.collect(),
            confidence,
            next: history.start.saturating_add(end),
            step: history.step,
            state,
        }
    }

    /// The season lengths.
    #[must_use]
    pub fn seasons(&self) -> Vec<usize> {
        self.state.seasons.iter().map(|season| season.profile.len()).collect()
    }
}

/// The deviation after `h` steps relative to the first, by the model's formula.
pub(crate) fn deviation(parameters: &Parameters, seasons: &[usize], h: usize) -> f64 {
    deviations(parameters, seasons).nth(h.saturating_sub(1)).unwrap_or(1.0)
}

fn confidence(errors: &[Vec<f64>], values: &[f64]) -> f64 {
    let magnitudes = |errors: &Vec<f64>| mean(errors.iter().map(|error| error.abs()));
    let off = mean(errors.iter().filter(|errors| !errors.is_empty()).map(magnitudes));
    let changes = values.array_windows().map(|[a, b]| (b - a).abs());
    let movement = mean(changes.filter(|change| change.is_finite()));
    let ratio = if movement > 0.0 { off / movement } else { 0.0 };
    let present = values.iter().filter(|value| value.is_finite()).count() as f64;
    (-ratio / 4.0).exp() * present / (present + 8.0)
}

fn root_mean_square(values: &[f64]) -> f64 {
    mean(values.iter().map(|value| value * value)).sqrt()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}
