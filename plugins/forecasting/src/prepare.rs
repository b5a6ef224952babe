//! Prepares dirty histories for a fit.

use std::cell::LazyCell;

use crate::{
    history::History,
    scale::Scale,
    season::repeating,
    statistics::{mean, median},
};

/// A history on a scale on which arithmetic is safe.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// The values on the scale; NaN is missing. The first one is present.
    pub values: Vec<f64>,
    /// The same with gaps filled and single outliers cut; never NaN.
    pub clean: Vec<f64>,
    /// How many values are present.
    pub present: usize,
    /// The scale.
    pub scale: Scale,
    /// The time of the first value, in milliseconds since the epoch.
    pub start: u64,
    /// The distance between two, in milliseconds.
    pub step: u64,
}

/// A single value that is more than so many usual changes away from its neighbours is an outlier.
const FAR_OUT: f64 = 12.0;
/// A gap of at least so many values is filled from the season before.
const LONG_GAP: usize = 3;

impl Prepared {
    /// Prepares a history; none where no value is present. `season` is the one by which long gaps are filled; with
    /// 0 or 1, it is detected from the values.
    #[must_use]
    pub fn of(history: History<'_>, season: usize) -> Option<Self> {
        let missing = history.values.iter().take_while(|value| !value.is_finite()).count();
        let values = history.values.get(missing..)?;
        let scale = Scale::of(values)?;
        let values: Vec<f64> = values.iter().map(|value| scale.apply(*value)).collect();
        let present = values.iter().filter(|value| value.is_finite()).count();
        let mut clean = values.clone();
        // The detection costs time, and most histories do not need it here.
        let season =
            LazyCell::new(|| if season > 1 { season } else { repeating(&values, history.step) });
        if present < values.len() {
            fill(&mut clean, || *season);
        }
        draw_in(&mut clean, || *season);
        let start = history.start.saturating_add(history.step.saturating_mul(missing as u64));
        Some(Self { values, clean, present, scale, start, step: history.step })
    }

    /// The 0 of the metric on the scale. Methods that need proportions subtract it.
    #[must_use]
    pub fn zero(&self) -> f64 {
        self.scale.apply(0.0)
    }
}

/// Fills gaps: short ones with a straight line, long ones with the values one season earlier (or later, if there is
/// no earlier one). Without a season, the last value fills a gap at the end.
fn fill(values: &mut [f64], season: impl Fn() -> usize) {
    let mut place = 0;
    while let Some(gap) = values.get(place..).and_then(|rest| rest.iter().position(|v| v.is_nan()))
    {
        let from = place + gap;
        let rest = values.get(from..).unwrap_or_default();
        let length = rest.iter().position(|v| !v.is_nan()).unwrap_or(rest.len());
        let to = from + length;
        let left = from.checked_sub(1).and_then(|l| values.get(l).copied());
        let right = values.get(to).copied();
        let (left, right) = match (left, right) {
            (Some(left), Some(right)) => (left, right),
            (Some(only), None) | (None, Some(only)) => (only, only),
            (None, None) => (0.0, 0.0),
        };
        let season = if length >= LONG_GAP { season() } else { 0 };
        let line = |i: usize| left + (right - left) * (i + 1) as f64 / (length + 1) as f64;
        for i in 0..length {
            let before = (from + i).checked_sub(season).and_then(|place| values.get(place));
            let after = values.get(from + i + season).filter(|value| !value.is_nan());
            // Earlier values are already filled, even those in this gap.
            let usual = before.or(after).copied().filter(|_| season > 1);
            if let Some(hole) = values.get_mut(from + i) {
                *hole = usual.unwrap_or_else(|| line(i));
            }
        }
        place = to;
    }
}

/// Cuts single values that are far from their neighbours, unless a similar value occurs one season earlier or
/// later: a peak that repeats is not an outlier.
fn draw_in(values: &mut [f64], season: impl Fn() -> usize) {
    let mut changes: Vec<f64> = values.array_windows().map(|[a, b]| (b - a).abs()).collect();
    let usual = mean(changes.iter().copied()).min(4.0 * median(&mut changes)).max(0.05);
    let far = FAR_OUT * usual;
    let lonely: Vec<(usize, f64)> = values
        .array_windows()
        .enumerate()
        .filter_map(|(place, [a, b, here, c, d])| {
            let mut near = [*a, *b, *c, *d];
            near.sort_by(f64::total_cmp);
            let [_, low, high, _] = near;
            let middle = f64::midpoint(low, high);
            let off = here - middle;
            ((here - b).abs() > far && (here - c).abs() > far && off.abs() > far)
                .then_some((place + 2, middle + far.copysign(off)))
        })
        .collect();
    if lonely.is_empty() {
        return;
    }
    let season = season();
    let far_too = |place: usize, other: Option<usize>| {
        let here = values.get(place).copied().unwrap_or(0.0);
        let there = other.and_then(|o| values.get(o)).copied();
        season > 1 && there.is_some_and(|there| (here - there).abs() < far)
    };
    let alone: Vec<(usize, f64)> = lonely
        .into_iter()
        .filter(|(place, _)| {
            !far_too(*place, place.checked_sub(season)) && !far_too(*place, Some(place + season))
        })
        .collect();
    for (place, value) in alone {
        if let Some(here) = values.get_mut(place) {
            *here = value;
        }
    }
}
