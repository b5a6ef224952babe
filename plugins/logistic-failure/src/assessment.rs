use haggle_sdk::failure_prediction::{Driver, Risk, Vitals};

use crate::{
    features::PER_METRIC,
    model::{Model, probability},
};

const MOST_DRIVERS: usize = 10;
/// Nothing is certain.
const CERTAIN: f64 = 1e-6;

/// The risk of a subject: its calibrated probability, and how far each metric moves the log-odds away
/// from those of a subject that is usual in every feature.
#[must_use]
pub fn assess(model: &Model, vitals: &Vitals) -> Risk {
    let row = model.row(vitals);
    let calibrated = model.calibration.apply(model.log_odds(&row));
    let driver = |((metric, known), values): ((&String, &[_; PER_METRIC]), &[f64])| {
        let weights = known.iter().map(|knowledge: &crate::Knowledge| knowledge.weight);
        let moved: f64 = weights.zip(values).map(|(weight, value)| weight * value).sum();
        Driver { metric: metric.clone(), contribution: model.calibration.slope * moved }
    };
    let mut drivers: Vec<Driver> =
        model.metrics.iter().zip(row.chunks(PER_METRIC)).map(driver).collect();
    drivers.retain(|driver| driver.contribution != 0.0);
    drivers.sort_by(|a, b| {
        let stronger = b.contribution.abs().total_cmp(&a.contribution.abs());
        stronger.then_with(|| a.metric.cmp(&b.metric))
    });
    drivers.truncate(MOST_DRIVERS);
    Risk { probability: probability(calibrated).clamp(CERTAIN, 1.0 - CERTAIN), drivers }
}
