use crate::statistics::mean;

/// How far a series usually moves from one value to the next: the mean absolute change.
#[must_use]
pub fn movement(values: &[f64]) -> f64 {
    let changes = values.array_windows().map(|[a, b]| (b - a).abs());
    mean(changes.filter(|change| change.is_finite()))
}

/// The confidence of every built-in forecaster: `exp(-r / 4) · n / (n + 8)`. `r` is the mean absolute error that is
/// expected over the horizon relative to the mean absolute change from one value to the next (its mean absolute
/// scaled error), and `n` is the number of values that the model was fitted to. White noise has about 0.8, a random
/// walk 0.55 over 12 steps and 0.3 over 48; without any value, it is 0. It ranks series: the lower it is, the
/// larger the error relative to the usual movement of the series.
#[must_use]
pub fn confidence(error: f64, movement: f64, present: usize) -> f64 {
    let ratio = if movement > 0.0 { error / movement } else { 0.0 };
    let present = present as f64;
    let confidence = (-ratio / 4.0).exp() * present / (present + 8.0);
    if confidence.is_finite() { confidence.clamp(0.0, 1.0) } else { 0.0 }
}
