//! Forecast accuracy, by the measures of the M4 competition (Makridakis, Spiliotis & Assimakopoulos, "The M4
//! Competition", 2020).

use haggle_sandbox::forecasting::{Bounds, Interval, Outlook};
use serde::Serialize;

/// The scores of one forecast, or their means over many. Scaled scores are relative to the mean absolute
/// error of the seasonal naive forecast, one season ahead within the history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Score {
    /// The mean absolute error, scaled.
    pub(super) mase: f64,
    /// The symmetric mean absolute percentage error, 0 to 200.
    pub(super) smape: f64,
    /// The pinball loss of the upper bound of the 80% interval as the 90% quantile, scaled.
    pub(super) pinball90: f64,
    /// The share of values within the 80% interval.
    pub(super) coverage80: f64,
    /// The share of values within the 95% interval.
    pub(super) coverage95: f64,
}

/// The mean absolute error of the seasonal naive forecast within the history; 1 if it has none.
pub(super) fn scale(history: &[f64], season: usize) -> f64 {
    let errors = history.iter().zip(history.iter().skip(season)).map(|(a, b)| (b - a).abs());
    Some(mean(errors)).filter(|scale| *scale > 0.0).unwrap_or(1.0)
}

/// Repeats the last season; a missing value becomes the last known value. The intervals are those of a random
/// walk over seasons with normal errors.
pub(super) fn seasonal_naive(history: &[f64], season: usize, horizon: usize) -> Outlook {
    let errors = history.iter().zip(history.iter().skip(season)).map(|(a, b)| (b - a).powi(2));
    let deviation = mean(errors).sqrt();
    let last = history.iter().rev().copied().find(|value| !value.is_nan()).unwrap_or(0.0);
    let start = history.len().saturating_sub(season);
    let value = |step: usize| {
        let found = history.get(start + step % season.max(1)).copied();
        found.filter(|value| !value.is_nan()).unwrap_or(last)
    };
    let means: Vec<f64> = (0..horizon).map(value).collect();
    let interval = |level: f64, z: f64| {
        let reach = |step: usize| z * deviation * ((step / season.max(1) + 1) as f64).sqrt();
        let bounds = |(step, mean): (usize, &f64)| Bounds {
            lower: mean - reach(step),
            upper: mean + reach(step),
        };
        Interval { level, bounds: means.iter().enumerate().map(bounds).collect() }
    };
    let intervals = vec![interval(0.8, 1.281_55), interval(0.95, 1.959_96)];
    Outlook { mean: means, intervals, confidence: 0.0 }
}

/// Scores a forecast against the actual values; `None` if no actual value is known.
pub(super) fn score(outlook: &Outlook, came: &[f64], scale: f64) -> Option<Score> {
    let [inner, outer] = outlook.intervals.as_slice() else { return None };
    let steps = came.iter().zip(&outlook.mean).enumerate().filter(|(_, (came, _))| !came.is_nan());
    let missing = Bounds { lower: f64::NAN, upper: f64::NAN };
    let bounds =
        |interval: &Interval, step: usize| interval.bounds.get(step).copied().unwrap_or(missing);
    let within = |interval: &Interval, step: usize, came: f64| {
        let Bounds { lower, upper } = bounds(interval, step);
        f64::from(u8::from(lower <= came && came <= upper))
    };
    let scores: Vec<Score> = steps
        .map(|(step, (came, mean))| {
            let off = (came - mean).abs();
            let over = came - bounds(inner, step).upper;
            let size = came.abs() + mean.abs();
            Score {
                mase: off / scale,
                smape: if size > 0.0 { 200.0 * off / size } else { 0.0 },
                pinball90: (0.9 * over).max(-0.1 * over) / scale,
                coverage80: within(inner, step, *came),
                coverage95: within(outer, step, *came),
            }
        })
        .collect();
    (!scores.is_empty()).then(|| means(&scores))
}

/// Averages each score.
pub(super) fn means(scores: &[Score]) -> Score {
    let of = |figure: fn(&Score) -> f64| mean(scores.iter().map(figure));
    Score {
        mase: of(|score| score.mase),
        smape: of(|score| score.smape),
        pinball90: of(|score| score.pinball90),
        coverage80: of(|score| score.coverage80),
        coverage95: of(|score| score.coverage95),
    }
}

/// The median of one figure.
pub(super) fn median(scores: &[Score], figure: fn(&Score) -> f64) -> f64 {
    let mut values: Vec<f64> = scores.iter().map(figure).collect();
    values.sort_by(f64::total_cmp);
    let at = |place: usize| values.get(place).copied().unwrap_or(0.0);
    let half = values.len() / 2;
    if values.len() % 2 == 1 {
        at(half)
    } else {
        f64::midpoint(at(half.saturating_sub(1)), at(half))
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let known = values.filter(|value| !value.is_nan());
    let (sum, count) = known.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use haggle_sandbox::forecasting::{Bounds, Interval, Outlook};

    use super::{Score, median, scale, score, seasonal_naive};

    #[test]
    fn scores_as_the_competition_does() {
        // The absolute errors of the naive forecast are 2, 2 and 4.
        let scale = scale(&[1.0, 3.0, 5.0, 1.0], 1);
        assert!((scale - 8.0 / 3.0).abs() < 1e-12);
        let interval = |level, bounds: [(f64, f64); 2]| {
            let bounds = bounds.map(|(lower, upper)| Bounds { lower, upper });
            Interval { level, bounds: bounds.into() }
        };
        let outlook = Outlook {
            mean: vec![2.0, 4.0],
            intervals: vec![
                interval(0.8, [(1.0, 3.0), (3.0, 5.0)]),
                interval(0.95, [(0.0, 4.0), (2.0, 8.0)]),
            ],
            confidence: 0.5,
        };
        let found = score(&outlook, &[2.0, 7.0], scale).unwrap();
        assert!((found.mase - 1.5 / scale).abs() < 1e-12);
        assert!((found.smape - 0.5 * 200.0 * 3.0 / 11.0).abs() < 1e-12);
        // 0.1 times 1 below the bound, and 0.9 times 2 above it.
        assert!((found.pinball90 - 0.5 * (0.1 + 1.8) / scale).abs() < 1e-12);
        assert_eq!((found.coverage80, found.coverage95), (0.5, 1.0));
        assert_eq!(score(&outlook, &[f64::NAN, f64::NAN], scale), None);
    }

    #[test]
    fn the_naive_forecast_repeats_the_last_season() {
        let history = [9.0, 1.0, 2.0, 3.0, f64::NAN, 2.5, 4.0];
        let naive = seasonal_naive(&history, 3, 5);
        assert_eq!(naive.mean, [4.0, 2.5, 4.0, 4.0, 2.5]);
        let upper = |interval: usize, step: usize| naive.intervals[interval].bounds[step].upper;
        assert!(upper(1, 0) > upper(0, 0));
        assert!(upper(0, 3) - 4.0 > upper(0, 0) - 4.0);
    }

    #[test]
    fn a_median_of_an_even_number_lies_between() {
        let of = |mase| Score { mase, ..Score::default() };
        assert_eq!(median(&[of(3.0), of(1.0), of(2.0), of(9.0)], |score| score.mase), 2.5);
        assert_eq!(median(&[], |score| score.mase), 0.0);
    }
}
