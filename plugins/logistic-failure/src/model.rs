use std::collections::BTreeMap;

use haggle_sdk::failure_prediction::Vitals;

use crate::{
    calibration::Calibration,
    features::{Features, PER_METRIC, features},
};

/// The largest number of metrics that are learnt.
pub const MOST_METRICS: usize = 256;
/// Standardised features are clamped to this magnitude.
const FAR: f64 = 6.0;
/// The largest precision of a weight after a change of its feature's scale.
const FIRMEST: f64 = 1e9;
/// The largest factor by which a weight grows when its feature starts to vary more: the model has learnt nothing
/// from values that far out.
const TRUSTED: f64 = 2.0;
/// Averages are over so many examples at most, so that the present outweighs the distant past.
pub const MEMORY: f64 = 50_000.0;

/// The statistics and the weight of one feature.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Knowledge {
    /// How many values the mean and variance are of, at most [`MEMORY`].
    pub count: f64,
    /// The mean.
    pub mean: f64,
    /// The variance.
    pub variance: f64,
    /// The weight of the standardised feature, in log-odds.
    pub weight: f64,
    /// How firmly the weight is known: the curvature of the likelihood collected so far.
    pub precision: f64,
}

/// A logistic regression over standardised features, with the precision of each weight.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    /// How far ahead it predicts, in milliseconds.
    pub horizon_ms: u64,
    /// How many examples it has seen, at most [`MEMORY`].
    pub examples: f64,
    /// How many of them failed, scaled in the same way.
    pub failures: f64,
    /// The log-odds where every feature is at its mean; its `mean` and `variance` are not used.
    pub intercept: Knowledge,
    /// By metric.
    pub metrics: BTreeMap<String, [Knowledge; PER_METRIC]>,
    /// From the regression's log-odds to calibrated ones.
    pub calibration: Calibration,
}

impl Knowledge {
    /// The standardised feature: 0 is usual, and a missing value counts as usual.
    #[must_use]
    pub fn standardise(&self, value: Option<f64>) -> f64 {
        let Some(value) = value else { return 0.0 };
        // If a feature hardly varied, a rounding error must not count as a deviation.
        let least = 1e-6 * self.mean.abs() + 1e-9;
        let deviation = self.variance.sqrt();
        if deviation < least { 0.0 } else { ((value - self.mean) / deviation).clamp(-FAR, FAR) }
    }

    /// Updates mean and variance with one value of the feature (Welford's recurrence).
    fn observe(&mut self, value: f64) {
        self.count = (self.count + 1.0).min(MEMORY);
        let off = value - self.mean;
        self.mean += off / self.count;
        self.variance += (off * (value - self.mean) - self.variance) / self.count;
        self.variance = self.variance.max(0.0);
    }

    /// Adapts the weight to the new scale of its feature, so that predictions stay the same. Returns the change of
    /// the intercept that this requires.
    fn rescale(&mut self, before: &Self) -> f64 {
        let (old, new) = (before.variance.sqrt(), self.variance.sqrt());
        if old <= 0.0 || new <= 0.0 || before.weight == 0.0 {
            return 0.0;
        }
        self.weight = before.weight * (new / old).min(TRUSTED);
        self.precision = (before.precision * (old / new).powi(2)).min(FIRMEST);
        before.weight * ((self.mean - before.mean) / old).clamp(-FAR, FAR)
    }
}

impl Model {
    /// Updates the means and variances of the features with a batch, and adds new metrics. The predictions of the
    /// model stay the same, except for instances with extreme values.
    pub fn observe<'a>(&mut self, batch: impl Iterator<Item = &'a Vitals>) {
        let before = self.metrics.clone();
        for vitals in batch {
            for series in &vitals.metrics {
                let room = self.metrics.len() < MOST_METRICS;
                let known = match self.metrics.get_mut(&series.metric) {
                    Some(known) => known,
                    None if room => self.metrics.entry(series.metric.clone()).or_default(),
                    None => continue,
                };
                for (knowledge, value) in known.iter_mut().zip(features(series)) {
                    if let Some(value) = value {
                        knowledge.observe(value);
                    }
                }
            }
        }
        for (metric, old) in &before {
            let Some(new) = self.metrics.get_mut(metric) else { continue };
            for (new, old) in new.iter_mut().zip(old) {
                self.intercept.weight += new.rescale(old);
            }
        }
    }

    /// The standardised features of an instance, metric by metric in the order of their names.
    #[must_use]
    pub fn row(&self, vitals: &Vitals) -> Vec<f64> {
        let of = |metric: &String| -> Features {
            let series = vitals.metrics.iter().find(|series| series.metric == *metric);
            series.map_or([None; PER_METRIC], features)
        };
        let standardised = self.metrics.iter().flat_map(|(metric, known)| {
            known.iter().zip(of(metric)).map(|(knowledge, value)| knowledge.standardise(value))
        });
        standardised.collect()
    }

    /// Everything that is learnt: the intercept, then the features as in [`Model::row`].
    pub fn knowledge(&self) -> impl Iterator<Item = &Knowledge> {
        std::iter::once(&self.intercept).chain(self.metrics.values().flatten())
    }

    /// As [`Model::knowledge`], to change.
    pub fn knowledge_mut(&mut self) -> impl Iterator<Item = &mut Knowledge> {
        std::iter::once(&mut self.intercept).chain(self.metrics.values_mut().flatten())
    }

    /// The log-odds of a row, before calibration.
    #[must_use]
    pub fn log_odds(&self, row: &[f64]) -> f64 {
        let weights = self.metrics.values().flatten().map(|knowledge| knowledge.weight);
        self.intercept.weight + weights.zip(row).map(|(weight, value)| weight * value).sum::<f64>()
    }
}

/// The logistic function.
#[must_use]
pub fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}
