//! The profiles of several seasons, for the initial state of a model and for the adjustment of a series before a
//! fit.
//!
//! This is classical decomposition with a trimmed mean, so that single values have little influence. A centred
//! moving average over the longest season is subtracted first. Then, for the shortest season first, the trimmed
//! mean of the rest at each place of a period is the profile. A profile of few periods is mostly noise. Each
//! profile is therefore shrunk towards 0 by the share of its variance that noise explains (the shrinkage of James &
//! Stein), so that the profile of an absent season vanishes.

/// A profile of a single period is smoothed to about so many different values.
const FINEST: usize = 48;

/// The profile of one season.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// What the season adds at each place of a period; the first value of the series is at the first place.
    pub values: Vec<f64>,
    /// The factor by which the profile was shrunk, from 0 to 1.
    pub strength: f64,
}

/// The additive profiles of these seasons, each of at least 2 steps. A season that fits into the values only once
/// is smoothed and has strength 0.5. One that does not fit has strength 0. NaN is missing.
#[must_use]
pub fn decompose(values: &[f64], seasons: &[usize]) -> Vec<Profile> {
    let fits = |m: &usize| *m >= 2 && *m <= values.len();
    let longest = seasons.iter().copied().filter(fits).max().unwrap_or(1);
    let trend = trend(values, longest);
    let mut rest: Vec<f64> = values.iter().zip(&trend).map(|(v, t)| v - t).collect();
    let mut profiles = Vec::with_capacity(seasons.len());
    for length in seasons {
        let profile = if fits(length) {
            profile(&rest, *length)
        } else {
            Profile { values: vec![0.0; (*length).max(1)], strength: 0.0 }
        };
        rest.iter_mut().zip(profile.values.iter().cycle()).for_each(|(v, usual)| *v -= usual);
        profiles.push(profile);
    }
    profiles
}

/// The centred moving average over a window, without missing values. The two ends of an even window count half. A
/// straight line continues the average at both ends.
#[must_use]
pub fn trend(values: &[f64], window: usize) -> Vec<f64> {
    let (mut sum, mut count) = (0.0, 0.0);
    let mut sums = Vec::with_capacity(values.len() + 1);
    sums.push((0.0, 0.0));
    for value in values {
        if !value.is_nan() {
            sum += value;
            count += 1.0;
        }
        sums.push((sum, count));
    }
    let mean = |window: usize| {
        let later = sums.get(window..).unwrap_or_default();
        let mean = |((from, m), (to, n)): (&(f64, f64), &(f64, f64))| (to - from, n - m);
        sums.iter().zip(later).map(mean).collect::<Vec<_>>()
    };
    let window = window.clamp(1, values.len().max(1));
    let middle: Vec<f64> = if window % 2 == 1 {
        mean(window).iter().map(|(sum, count)| sum / count).collect()
    } else {
        let inner = mean(window);
        let pairs = inner.iter().zip(inner.iter().skip(1));
        pairs.map(|((a, m), (b, n))| (a + b) / (m + n)).collect()
    };
    let missing = values.len() - middle.len();
    let mut whole = Vec::with_capacity(values.len());
    let near = middle.len().min(window);
    let (first, rise) = line(middle.get(..near).unwrap_or_default());
    let before = missing / 2;
    whole.extend((0..before).map(|t| first + rise * (t as f64 - before as f64)));
    whole.extend(&middle);
    let (first, rise) = line(middle.get(middle.len() - near..).unwrap_or_default());
    whole.extend((0..missing - before).map(|t| first + rise * (near + t) as f64));
    // A window without any value has no mean: the previous mean replaces it.
    let mut last = whole.iter().copied().find(|v| v.is_finite()).unwrap_or(0.0);
    for value in &mut whole {
        if value.is_finite() { last = *value } else { *value = last }
    }
    whole
}

/// The straight line through values at 0, 1, …: where it begins and how it rises. NaN is missing.
#[must_use]
pub fn line(values: &[f64]) -> (f64, f64) {
    let present = || values.iter().enumerate().filter(|(_, v)| v.is_finite());
    let count = present().count().max(1) as f64;
    let centre = present().map(|(t, _)| t as f64).sum::<f64>() / count;
    let mean = present().map(|(_, v)| v).sum::<f64>() / count;
    let squares: f64 = present().map(|(t, _)| (t as f64 - centre).powi(2)).sum();
    let products: f64 = present().map(|(t, v)| (t as f64 - centre) * (v - mean)).sum();
    let rise = if squares > 0.0 { products / squares } else { 0.0 };
    (mean - rise * centre, rise)
}

fn profile(rest: &[f64], length: usize) -> Profile {
    let mut here: Vec<f64> = Vec::with_capacity(rest.len() / length + 1);
    let mut place = |place: usize| {
        here.clear();
        here.extend(rest.iter().skip(place).step_by(length).copied().filter(|v| v.is_finite()));
        middle(&mut here)
    };
    let mut values: Vec<f64> = (0..length).map(&mut place).collect();
    let once = rest.len() < 2 * length;
    if once {
        values = smooth(&values, length / FINEST);
    }
    let mean = values.iter().sum::<f64>() / length as f64;
    values.iter_mut().for_each(|v| *v -= mean);
    let (mut squares, mut count) = (0.0, 0.0);
    for chunk in rest.chunks(length) {
        for (value, usual) in chunk.iter().zip(&values).filter(|(value, _)| value.is_finite()) {
            squares += (value - usual) * (value - usual);
            count += 1.0;
        }
    }
    let freedom = count - length as f64;
    let signal = values.iter().map(|v| v * v).sum::<f64>() / length as f64;
    let noise = if freedom >= 1.0 { squares / freedom * length as f64 / count } else { signal };
    let strength = if once {
        0.5
    } else if signal > 0.0 {
        (1.0 - noise / signal).clamp(0.0, 1.0)
    } else {
        0.0
    };
    values.iter_mut().for_each(|v| *v *= strength);
    Profile { values, strength }
}

/// A centred moving average around the circle, `reach` values to each side.
fn smooth(raw: &[f64], reach: usize) -> Vec<f64> {
    let reach = reach.min(raw.len() / 2);
    let ring = raw.iter().cycle().skip(raw.len() - reach).take(raw.len() + 2 * reach);
    let ring: Vec<f64> = ring.copied().collect();
    let window = 2 * reach + 1;
    ring.windows(window).map(|near| near.iter().sum::<f64>() / window as f64).collect()
}

/// The mean of the inner half of the values; of one or two values, the mean of all; 0 of none.
fn middle(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let cut = (values.len() + 1) / 4;
    let inner = values.get(cut..values.len() - cut).unwrap_or_default();
    if inner.is_empty() { 0.0 } else { inner.iter().sum::<f64>() / inner.len() as f64 }
}
