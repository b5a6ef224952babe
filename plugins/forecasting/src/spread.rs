//! Predicts how large the errors of forecasts will be.
//!
//! The errors of past forecasts are standardised to one distribution: each is divided by the usual error at its
//! step and, as far as that helps, by how restless the series was at its origin. The bounds are the quantiles of
//! the standardised errors times the current divisors. This is a locally weighted conformal prediction (Lei,
//! G'Sell, Rinaldo, Tibshirani & Wasserman, "Distribution-free predictive inference for regression", 2018) with a
//! prior for short histories.

use crate::{
    bytes::{Reader, Unreadable, Writer},
    quantiles::Quantiles,
    statistics::mean,
    track::Track,
};

/// The distribution of the error at every step.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    /// The usual magnitude of the error at each step.
    pub scales: Vec<f64>,
    /// The standardised errors.
    pub shape: Quantiles,
    /// The power with which the current restlessness scales the bounds, from 0 to 1.
    pub response: f64,
    /// The usual restlessness.
    pub usual: f64,
}

/// How quickly restlessness follows the changes.
const GAIN: f64 = 0.06;
/// The largest number of steps that is accepted from bytes.
const MOST_SCALES: usize = 100_000;
/// The weight of the given growth, in errors at each step.
const PRIOR: f64 = 3.0;
/// The responses that are tried.
const RESPONSES: [f64; 4] = [0.0, 0.3, 0.6, 0.9];
/// The ratio of the restlessness to the usual one is clamped to this range.
const RANGE: (f64, f64) = (0.1, 10.0);

/// The restlessness after another change of this magnitude.
#[must_use]
pub fn follow(restless: f64, change: f64) -> f64 {
    restless + GAIN * (change - restless)
}

/// A running mean of the magnitude of changes: one for each value, which includes the change to that value.
#[must_use]
pub fn restlessness(values: &[f64]) -> Vec<f64> {
    let changes = values.array_windows().map(|[a, b]| (b - a).abs());
    let count = values.len().saturating_sub(1).clamp(1, 50);
    let first = mean(changes.clone().take(count));
    let mut running = first;
    let mut all = vec![first];
    all.extend(changes.map(|change| {
        running = follow(running, change);
        running
    }));
    all
}

impl Spread {
    /// The spread of the errors in `track`. `restless` is the restlessness at each of its origins, and `least` is a
    /// lower bound of the usual errors. `growth` is how errors grow step by step according to another source, such
    /// as the method; the fewer origins there are, the more it counts.
    #[must_use]
    pub fn of(track: &Track, restless: &[f64], least: f64, growth: &[f64]) -> Self {
        let usual = mean(restless.iter().copied()).max(1e-9);
        let scales = scales(track, least, growth);
        let loss = |response: f64| -> f64 {
            let mut total = 0.0;
            for (row, now) in track.rows().zip(restless) {
                let factor = factor(*now, usual, response);
                let off = row.iter().zip(&scales).filter(|(error, _)| !error.is_nan());
                let (sum, count) = off.fold((0.0, 0.0), |(sum, count), (error, scale)| {
                    (sum + error.abs() / scale, count + 1.0)
                });
                total += sum / factor + count * factor.ln();
            }
            total
        };
        let losses = RESPONSES.map(|response| (loss(response), response));
        let best = losses.into_iter().min_by(|a, b| a.0.total_cmp(&b.0));
        let response = best.map_or(0.0, |(_, response)| response);
        let mut standard: Vec<f64> = Vec::with_capacity(track.errors.len());
        for (row, now) in track.rows().zip(restless) {
            let factor = factor(*now, usual, response);
            let own = row.iter().zip(&scales).map(|(error, scale)| error / (scale * factor));
            standard.extend(own.filter(|error| !error.is_nan()));
        }
        let span = (track.origins.len() * track.stride()) as f64;
        let independent = span / track.horizon.max(1) as f64;
        // The mean magnitude is 1: a normal distribution with that mean magnitude has a deviation of 1.25.
        let shape = Quantiles::of(&mut standard, 1.25, independent);
        Self { scales, shape, response, usual }
    }

    /// The factor by which this restlessness widens or narrows the bounds.
    #[must_use]
    pub fn factor(&self, restless: f64) -> f64 {
        factor(restless, self.usual, self.response)
    }

    /// Replaces the growth of the errors by their usual size at each step. For the measured steps, that is the
    /// measured size; beyond them, the last one is extrapolated by the growth.
    pub fn scale(&self, growth: &mut [f64]) {
        let known = self.scales.len().max(1);
        let last = self.scales.last().copied().unwrap_or(1.0);
        let base = growth.get(known - 1).copied().unwrap_or(1.0).max(f64::MIN_POSITIVE);
        let further = growth.iter_mut().skip(known);
        further.for_each(|grown| *grown = last * (*grown / base).clamp(1.0, 1e6));
        growth.iter_mut().zip(&self.scales).for_each(|(grown, scale)| *grown = *scale);
    }

    /// Writes it.
    pub fn write(&self, out: &mut Writer) {
        out.length(self.scales.len());
        self.scales.iter().for_each(|scale| out.short(*scale));
        self.shape.write(out);
        out.number(self.response);
        out.number(self.usual);
    }

    /// Reads what [`Spread::write`] wrote.
    ///
    /// # Errors
    /// [`Unreadable`] if the bytes are not a spread.
    pub fn read(input: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let count = input.length(MOST_SCALES)?;
        let scales: Vec<f64> = (0..count).map(|_| input.short()).collect::<Result<_, _>>()?;
        let shape = Quantiles::read(input)?;
        let (response, usual) = (input.share()?, input.number()?);
        let sensible = scales.iter().all(|scale| *scale >= 0.0) && usual > 0.0;
        if sensible { Ok(Self { scales, shape, response, usual }) } else { Err(Unreadable) }
    }
}

fn factor(restless: f64, usual: f64, response: f64) -> f64 {
    if response == 0.0 {
        return 1.0;
    }
    (restless / usual).clamp(RANGE.0, RANGE.1).powf(response)
}

/// The mean magnitude at each step, smoothed over neighbouring steps, and shrunk towards the growth.
fn scales(track: &Track, least: f64, growth: &[f64]) -> Vec<f64> {
    let steps = track.horizon.max(1);
    let mut sums = vec![(0.0_f64, 0.0_f64); steps];
    for row in track.rows() {
        for ((sum, count), error) in sums.iter_mut().zip(row) {
            if !error.is_nan() {
                *sum += error.abs();
                *count += 1.0;
            }
        }
    }
    let grown = |h: usize| growth.get(h).copied().unwrap_or(1.0).max(f64::MIN_POSITIVE);
    let (sum, of) = sums
        .iter()
        .enumerate()
        .fold((0.0, 0.0), |(sum, of), (h, (error, count))| (sum + error, of + count * grown(h)));
    let unit = if of > 0.0 { sum / of } else { 0.0 };
    let reach = |h: usize| (h / 8).max(usize::from(h > 0));
    let at = |h: usize| {
        let near = sums.get(h - reach(h).min(h)..(h + reach(h) + 1).min(steps)).unwrap_or_default();
        let (sum, count) = near.iter().fold((0.0, 0.0), |all, one| (all.0 + one.0, all.1 + one.1));
        ((sum + PRIOR * unit * grown(h)) / (count + PRIOR)).max(least)
    };
    (0..steps).map(at).collect()
}
