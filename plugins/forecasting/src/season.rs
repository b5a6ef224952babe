use crate::statistics::{mean, median};

/// The usual periods of people and machines, in milliseconds: an hour, a day, a week.
const CALENDAR: [u64; 3] = [3_600_000, 86_400_000, 604_800_000];
/// The shortest season looked for.
const SHORTEST: usize = 3;
/// Autocorrelations are computed over so many values at most.
const LOOK_BACK: usize = 2048;
/// The changes over a season are compared with those over fewer steps than this.
const NEAR: usize = 13;
/// A season repeats if the changes over it are below this share of those.
const CLOSER: f64 = 0.7;
/// Values are clamped to this magnitude, on the scale of a history, so that single ones do not dominate.
const FAR_OUT: f64 = 20.0;
/// How far a peak of the autocorrelation must rise above the lowest point before it.
const PROMINENT: f64 = 0.25;

/// Season lengths worth trying, the shortest first: the given ones and seven times the last of them (a week, if
/// that is a day). Without given ones, calendar periods and the peaks of the autocorrelation. Each fits into the
/// history at least twice. `step` is in milliseconds.
#[must_use]
pub fn candidates(values: &[f64], given: &[u32], step: u64) -> Vec<usize> {
    let fits = |length: &usize| *length >= 2 && *length <= values.len() / 2;
    let mut found: Vec<usize> = Vec::new();
    if given.is_empty() {
        found.extend(peaks(values));
        let calendar = CALENDAR.iter().filter(|period| period.is_multiple_of(step.max(1)));
        let calendar = calendar.map(|period| (period / step.max(1)) as usize);
        for length in calendar.filter(|length| *length >= SHORTEST).filter(fits) {
            // A peak near a calendar period is an inexact measurement of that period.
            found.retain(|peak| peak.abs_diff(length) * 20 > length);
            found.push(length);
        }
    } else {
        found.extend(given.iter().map(|length| *length as usize));
        found.extend(given.last().map(|length| *length as usize * 7));
    }
    found.retain(fits);
    found.sort_unstable();
    found.dedup();
    found
}

/// The season by which gaps are filled if none is given; 0 for none. It is the candidate with the smallest changes
/// from period to period, relative to the changes over a few steps, if that ratio is small enough. The values are
/// on their scale.
pub(crate) fn repeating(values: &[f64], step: u64) -> usize {
    let drawn: Vec<f64> = values.iter().map(|v| v.clamp(-FAR_OUT, FAR_OUT)).collect();
    let change = |lag: usize| {
        let later = drawn.get(lag..).unwrap_or_default();
        let changes = drawn.iter().zip(later).map(|(a, b)| (b - a).abs());
        let changes: Vec<f64> = changes.filter(|change| !change.is_nan()).collect();
        (4 * changes.len() >= later.len()).then(|| mean(changes.into_iter()))
    };
    let closest = candidates(values, &[], step).into_iter().filter_map(|length| {
        let near = mean((1..length.min(NEAR)).filter_map(change));
        Some((change(length)? / near, length)).filter(|(share, _)| *share < CLOSER)
    });
    closest.min_by(|a, b| a.0.total_cmp(&b.0)).map_or(0, |(_, length)| length)
}

/// The lags at which the autocorrelation has its most prominent peaks, at most two.
fn peaks(values: &[f64]) -> Vec<usize> {
    let recent = values.get(values.len().saturating_sub(LOOK_BACK)..).unwrap_or(values);
    let correlation = autocorrelation(recent);
    let mut found: Vec<(f64, usize)> = Vec::new();
    let mut lowest = 1.0_f64;
    for (lag, here) in correlation.iter().copied().enumerate() {
        lowest = lowest.min(here);
        let reach = (lag / 8).max(1);
        let around = correlation.get(lag.saturating_sub(reach)..=lag + reach);
        let highest = around.is_some_and(|near| near.iter().all(|other| *other <= here));
        if lag >= SHORTEST && highest && here > 0.0 && here - lowest > PROMINENT {
            found.push((here, lag));
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    // A multiple of a season correlates as well as the season.
    let mut kept: Vec<usize> = Vec::new();
    for (_, lag) in found {
        let multiple = |base: usize| {
            let off = lag % base;
            off.min(base - off) * 10 <= base
        };
        if !kept.iter().any(|known| multiple(*known)) && kept.len() < 2 {
            kept.push(lag);
        }
    }
    kept
}

/// The autocorrelation at lag 0, 1, … half the length, of the values without their linear trend. Missing values
/// count as the median, and far-out ones are clamped.
#[must_use]
pub fn autocorrelation(values: &[f64]) -> Vec<f64> {
    let detrended = detrend(values);
    let variance: f64 = detrended.iter().map(|v| v * v).sum();
    if variance <= 0.0 {
        return Vec::new();
    }
    let at = |lag: usize| {
        let later = detrended.get(lag..).unwrap_or_default();
        detrended.iter().zip(later).map(|(a, b)| a * b).sum::<f64>() / variance
    };
    (0..=values.len() / 2).map(at).collect()
}

fn detrend(values: &[f64]) -> Vec<f64> {
    let mut present: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    let middle = median(&mut present);
    let mut magnitudes: Vec<f64> = present.iter().map(|v| (v - middle).abs()).collect();
    let most = 5.0 * median(&mut magnitudes);
    let drawn = |v: &f64| if v.is_finite() { (v - middle).clamp(-most, most) } else { 0.0 };
    let drawn: Vec<f64> = values.iter().map(drawn).collect();
    let count = drawn.len().max(1) as f64;
    let mean = drawn.iter().sum::<f64>() / count;
    let centre = (count - 1.0) / 2.0;
    let times = || (0..drawn.len()).map(|t| t as f64 - centre);
    let squares: f64 = times().map(|t| t * t).sum();
    let slope = if squares > 0.0 {
        times().zip(&drawn).map(|(t, v)| t * v).sum::<f64>() / squares
    } else {
        0.0
    };
    times().zip(&drawn).map(|(t, v)| v - mean - slope * t).collect()
}
