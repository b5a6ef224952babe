use haggle_sdk::forecasting::{Interval, Outlook};

use crate::{
    filter::Reach,
    model::{Model, deviation},
    quantiles::Quantiles,
};

/// More than so many steps are not forecast: nobody plans that far by smoothing.
pub const MOST_STEPS: u32 = 100_000;
/// How much wider intervals become, at most, where a series has become restless since its fit.
const MOST_RESTLESS: f64 = 3.0;

impl Model {
    /// Forecasts `horizon` steps from the last value taken in.
    #[must_use]
    pub fn outlook(&self, horizon: u32, levels: &[f64], non_negative: bool) -> Outlook {
        let steps = horizon.min(MOST_STEPS) as usize;
        let floor = if non_negative { 0.0 } else { f64::MIN };
        let back = |value: f64| self.scale.undo(value).max(floor);
        let expected: Vec<f64> = Reach::every(&self.parameters)
            .take(steps)
            .enumerate()
            .map(|(ahead, reach)| self.state.expect(ahead, &reach))
            .collect();
        let restless = (self.state.noise / self.noise.max(f64::MIN_POSITIVE)).sqrt();
        let restless = restless.clamp(1.0, MOST_RESTLESS);
        let bounds = |probability: f64| -> Vec<f64> {
            let errors = self.errors_at(probability, steps);
            expected.iter().zip(errors).map(|(mean, error)| mean + restless * error).collect()
        };
        let interval = |level: &f64| {
            let tail = (1.0 - level.clamp(0.0, 1.0)) / 2.0;
            let lower = bounds(tail);
            let upper = bounds(1.0 - tail);
            // The mean lies within, however lopsided the errors are.
            let lower = lower.iter().zip(&expected).map(|(bound, mean)| back(bound.min(*mean)));
            let upper = upper.iter().zip(&expected).map(|(bound, mean)| back(bound.max(*mean)));
            Interval { level: *level, lower: lower.collect(), upper: upper.collect() }
        };
        let mut intervals: Vec<Interval> = Vec::with_capacity(levels.len());
        for level in levels {
            let mut outer = interval(level);
            if let Some(inner) = intervals.last() {
                enclose(&mut outer, inner);
            }
            intervals.push(outer);
        }
        Outlook {
            intervals,
            mean: expected.iter().map(|value| back(*value)).collect(),
            confidence: self.confidence,
        }
    }

    /// The error that is exceeded with probability `1 - probability`, for each step ahead: linear between
    /// the horizons at which errors were collected, and growing by the model's formula beyond them.
    fn errors_at(&self, probability: f64, steps: usize) -> Vec<f64> {
        let known: Vec<(f64, f64)> = self
            .errors
            .iter()
            .map(|errors: &Quantiles| (f64::from(errors.horizon), errors.at(probability)))
            .collect();
        let Some((last, furthest)) = known.last().copied() else { return vec![0.0; steps] };
        let seasons = self.seasons();
        let base = deviation(&self.parameters, &seasons, last as usize);
        let growth = crate::filter::deviations(&self.parameters, &seasons);
        let step = |(step, deviation): (usize, f64)| {
            let h = (step + 1) as f64;
            if h >= last {
                return furthest * deviation / base;
            }
            let between =
                known.iter().zip(known.iter().skip(1)).find(|(_, (right, _))| h <= *right);
            between.map_or(furthest, |((left, a), (right, b))| {
                a + (b - a) * (h - left) / (right - left)
            })
        };
        growth.take(steps).enumerate().map(step).collect()
    }
}

/// Widens an interval where it does not enclose a narrower one: quantiles that were collected never
/// cross, but model bytes may hold anything.
fn enclose(outer: &mut Interval, inner: &Interval) {
    for (outer, inner) in outer.lower.iter_mut().zip(&inner.lower) {
        *outer = outer.min(*inner);
    }
    for (outer, inner) in outer.upper.iter_mut().zip(&inner.upper) {
        *outer = outer.max(*inner);
    }
}
