use haggle_sdk::failure_prediction::{Contribution, Risk, Vitals};

use crate::{
    features::PER_METRIC,
    model::{Model, probability},
};

const MOST_CONTRIBUTIONS: usize = 10;
/// Probabilities keep this distance from 0 and 1.
const CERTAIN: f64 = 1e-6;

/// The risk of an instance: its calibrated probability, and how far each metric moves the log-odds away
/// from those of an instance that is usual in every feature.
#[must_use]
pub fn assess(model: &Model, vitals: &Vitals) -> Risk {
    let row = model.row(vitals);
    let calibrated = model.calibration.apply(model.log_odds(&row));
    let contribution = |((metric, known), values): ((&String, &[_; PER_METRIC]), &[f64])| {
        let weights = known.iter().map(|knowledge: &crate::Knowledge| knowledge.weight);
        let moved: f64 = weights.zip(values).map(|(weight, value)| weight * value).sum();
        Contribution { metric: metric.clone(), log_odds: model.calibration.slope * moved }
    };
    let mut contributions: Vec<Contribution> =
        model.metrics.iter().zip(row.chunks(PER_METRIC)).map(contribution).collect();
    contributions.retain(|contribution| contribution.log_odds != 0.0);
    contributions.sort_by(|a, b| {
        let stronger = b.log_odds.abs().total_cmp(&a.log_odds.abs());
        stronger.then_with(|| a.metric.cmp(&b.metric))
    });
    contributions.truncate(MOST_CONTRIBUTIONS);
    Risk { probability: probability(calibrated).clamp(CERTAIN, 1.0 - CERTAIN), contributions }
}
