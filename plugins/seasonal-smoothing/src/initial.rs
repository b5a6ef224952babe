use haggle_forecasting::{Outliers, median};

use crate::filter::{Season, State};

/// Initial profiles of at least this length are smoothed: one or two periods are too few to trust each of their
/// values.
const LONG: usize = 48;

/// How many values the initial state is computed from: two periods of the longest season if the history has at
/// least four, otherwise one. Without seasons, a quarter of the values, at most 10.
#[must_use]
pub fn warm_up(count: usize, seasons: &[usize]) -> usize {
    match seasons.last() {
        Some(longest) if count >= 4 * longest => 2 * longest,
        Some(longest) => *longest,
        None => (count / 4).min(10),
    }
}

/// The state before the first value, from medians of the first `warm_up` ones, so that no single value dominates.
#[must_use]
pub fn initial(values: &[f64], seasons: &[usize], warm_up: usize) -> State {
    let first = values.get(..warm_up.clamp(1, values.len().max(1))).unwrap_or(values);
    let level = middle(first);
    let mut rest: Vec<f64> = first.iter().map(|value| value - level).collect();
    let mut profiles = Vec::new();
    for length in seasons {
        let profile = profile(&rest, *length);
        rest.iter_mut().zip(profile.iter().cycle()).for_each(|(value, usual)| *value -= usual);
        profiles.push(Season { profile, position: 0, seen: first.len() as u32 });
    }
    let changes = values.array_windows().map(|[a, b]| (b - a).abs());
    let mut changes: Vec<f64> = changes.filter(|change| change.is_finite()).collect();
    let mean = changes.iter().sum::<f64>() / changes.len().max(1) as f64;
    let noise = median(&mut changes).max(mean / 4.0).max(1e-6);
    State {
        level,
        trend: 0.0,
        transient: 0.0,
        seasons: profiles,
        noise,
        outliers: Outliers::default(),
    }
}

/// The usual value at each place of a period.
fn profile(values: &[f64], length: usize) -> Vec<f64> {
    let periods: Vec<f64> = values.chunks(length).map(middle).collect();
    let place = |place: usize| {
        let here = values.iter().skip(place).step_by(length).zip(&periods);
        let mut here: Vec<f64> = here.map(|(v, m)| v - m).filter(|v| v.is_finite()).collect();
        let count = here.len();
        match count {
            0 => 0.0,
            1 | 2 => here.iter().sum::<f64>() / count as f64,
            _ => median(&mut here),
        }
    };
    let raw: Vec<f64> = (0..length).map(place).collect();
    if length < LONG { raw } else { smooth(&raw, length / LONG) }
}

/// A centred moving average around the circle, `reach` values to each side.
fn smooth(raw: &[f64], reach: usize) -> Vec<f64> {
    let window = 2 * reach + 1;
    let ring = raw.iter().cycle().skip(raw.len() - reach).take(raw.len() + 2 * reach);
    let ring: Vec<f64> = ring.copied().collect();
    ring.windows(window).map(|near| near.iter().sum::<f64>() / window as f64).collect()
}

fn middle(values: &[f64]) -> f64 {
    let mut present: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    median(&mut present)
}
