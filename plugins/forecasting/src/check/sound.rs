use std::fmt::Debug;

use haggle_sdk::forecasting::Outlook;

/// The `expected` values are no farther than `ranges` times the range of the observed values `came`, with 0 added,
/// from that range. Ranges that are too large or too small for floating point are not checked.
///
/// # Panics
/// If that does not hold.
pub fn assert_within_reach<'a>(
    expected: &[f64],
    came: impl Iterator<Item = &'a f64> + Clone,
    ranges: f64,
    what: impl Debug,
) {
    let finite = || came.clone().copied().filter(|value| value.is_finite());
    let (low, high) = (finite().fold(0.0, f64::min), finite().fold(0.0, f64::max));
    let reach = ranges * (high - low);
    if !reach.is_finite() || reach < 1e-300 {
        return;
    }
    let within = low - reach..=high + reach;
    assert!(expected.iter().all(|value| within.contains(value)), "{what:?}: {expected:?}");
}

/// Every number is finite, intervals enclose the mean and each other, and no number is negative that must not be.
///
/// # Panics
/// If that does not hold.
pub fn assert_sound(outlook: &Outlook, horizon: usize, non_negative: bool) {
    let finite = |values: &[f64]| {
        assert_eq!(values.len(), horizon);
        assert!(values.iter().all(|v| v.is_finite() && (!non_negative || *v >= 0.0)), "{values:?}");
    };
    finite(&outlook.mean);
    assert!((0.0..=1.0).contains(&outlook.confidence), "{}", outlook.confidence);
    let (mut low, mut high) = (outlook.mean.clone(), outlook.mean.clone());
    for interval in &outlook.intervals {
        let lower: Vec<f64> = interval.bounds.iter().map(|bounds| bounds.lower).collect();
        let upper: Vec<f64> = interval.bounds.iter().map(|bounds| bounds.upper).collect();
        finite(&lower);
        finite(&upper);
        let outside = lower.iter().zip(&low).all(|(outer, inner)| outer <= inner)
            && upper.iter().zip(&high).all(|(outer, inner)| outer >= inner);
        assert!(outside, "{interval:?}");
        (low, high) = (lower, upper);
    }
}
