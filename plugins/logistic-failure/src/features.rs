use haggle_sdk::failure_prediction::MetricSeries;

/// How many features are made of one metric.
pub const PER_METRIC: usize = 6;

/// Larger magnitudes count as missing: no metric has them, and their logarithms may overflow.
const LARGEST: f64 = 1e100;

/// The features of one metric; none if there are too few recent values for it.
pub type Features = [Option<f64>; PER_METRIC];

/// Derives the features of a metric from its recent course: the last value, the mean, the slope per step
/// (least squares), the standard deviation, the change over the last third, and the share of values that
/// is missing.
///
/// All but the last are taken on the scale of `asinh`, which is the logarithm for large magnitudes of
/// either sign and linear around 0: a latency that doubles counts the same at 10 and at 1000 ms.
#[must_use]
pub fn features(series: &MetricSeries) -> Features {
    let count = series.values.len();
    let known: Vec<(f64, f64)> = (0..count)
        .zip(&series.values)
        .filter(|(_, value)| value.abs() < LARGEST)
        .map(|(time, value)| (time as f64, value.asinh()))
        .collect();
    let missing = 1.0 - known.len() as f64 / count.max(1) as f64;
    let Some((last_time, last)) = known.last().copied() else {
        return [None, None, None, None, None, Some(missing)];
    };
    let number = known.len() as f64;
    let mean_time = known.iter().map(|(time, _)| time).sum::<f64>() / number;
    let mean = known.iter().map(|(_, value)| value).sum::<f64>() / number;
    let (mut times, mut values, mut both) = (0.0, 0.0, 0.0);
    for (time, value) in &known {
        let (dt, dv) = (time - mean_time, value - mean);
        (times, values, both) = (times + dt * dt, values + dv * dv, both + dt * dv);
    }
    let several = known.len() > 1;
    let earlier =
        known.iter().rev().find(|(time, _)| last_time - time >= (count / 3).max(1) as f64);
    [
        Some(last),
        Some(mean),
        several.then(|| both / times),
        several.then(|| (values / (number - 1.0)).sqrt()),
        earlier.map(|(_, value)| last - value),
        Some(missing),
    ]
}
