//! How often to take differences.

use haggle_exponential_smoothing::decompose;

use crate::css::difference;

/// The critical value of the test at 5%.
const CRITICAL: f64 = 0.463;

/// The statistic of Kwiatkowski, Phillips, Schmidt & Shin ("Testing the null hypothesis of stationarity
/// against the alternative of a unit root", 1992) for stationarity around a level, with Bartlett's weights
/// up to lag ⌊3√n / 13⌋. The larger, the less stationary.
#[must_use]
pub fn kpss(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    if values.len() < 3 {
        return 0.0;
    }
    let mean = values.iter().sum::<f64>() / count;
    let off: Vec<f64> = values.iter().map(|v| v - mean).collect();
    let mut sum = 0.0;
    let sums = off.iter().map(|v| {
        sum += v;
        sum * sum
    });
    let partial = sums.sum::<f64>() / (count * count);
    let lags = (3.0 * count.sqrt() / 13.0) as usize;
    let mut variance = off.iter().map(|v| v * v).sum::<f64>() / count;
    for lag in 1..=lags {
        let later = off.get(lag..).unwrap_or_default();
        let product: f64 = off.iter().zip(later).map(|(a, b)| a * b).sum();
        variance += 2.0 * (1.0 - lag as f64 / (lags as f64 + 1.0)) * product / count;
    }
    if variance > 0.0 { partial / variance } else { 0.0 }
}

/// How many differences make the values stationary, at most 2.
#[must_use]
pub fn differences(values: &[f64]) -> usize {
    let mut now = values.to_vec();
    for count in 0..2 {
        if kpss(&now) <= CRITICAL {
            return count;
        }
        now = difference(&now, 1);
    }
    2
}

/// The strength of a season: 1 − Var(remainder) / Var(season + remainder) of a decomposition, at least 0
/// (Wang, Smith & Hyndman, "Characteristic-based clustering for time series data", 2006).
#[must_use]
pub fn seasonal_strength(values: &[f64], season: usize) -> f64 {
    let trend = haggle_exponential_smoothing::trend(values, season);
    let rest: Vec<f64> = values.iter().zip(&trend).map(|(v, t)| v - t).collect();
    let found = decompose(values, &[season]);
    let usual = found.first().map(|p| p.values.as_slice()).unwrap_or_default();
    let left = rest.iter().zip(usual.iter().cycle()).map(|(v, usual)| v - usual);
    let (whole, left) = (variance(rest.iter().copied()), variance(left));
    if whole > 0.0 { (1.0 - left / whole).max(0.0) } else { 0.0 }
}

fn variance(values: impl Iterator<Item = f64>) -> f64 {
    let (mut count, mut sum, mut squares) = (0.0_f64, 0.0, 0.0);
    for value in values {
        count += 1.0;
        sum += value;
        squares += value * value;
    }
    squares / count.max(1.0) - (sum / count.max(1.0)).powi(2)
}
