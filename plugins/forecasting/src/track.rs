//! Forecasts of the past: the errors that a method would have made, by origin and step.

use crate::{
    method::{Clock, Method},
    prepare::Prepared,
};

/// The errors (observed minus expected) of forecasts from several origins.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    /// How many values were known at each origin, ascending.
    pub origins: Vec<usize>,
    /// How many steps ahead each forecast reached.
    pub horizon: usize,
    /// `horizon` errors for each origin, on the scale of the history; NaN if no value was observed.
    pub errors: Vec<f64>,
}

impl Track {
    /// A track without any forecast.
    #[must_use]
    pub fn empty(horizon: usize) -> Self {
        Self { origins: Vec::new(), horizon, errors: Vec::new() }
    }

    /// The errors of each origin.
    pub fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.errors.chunks_exact(self.horizon.max(1))
    }

    /// The errors over the steps `first..=last` (from 1) of every origin, the missing ones left out.
    #[must_use]
    pub fn between(&self, first: usize, last: usize) -> Vec<f64> {
        let band = |row: &[f64]| -> Vec<f64> {
            let band = row.get(first.saturating_sub(1)..last.min(row.len())).unwrap_or_default();
            band.iter().copied().filter(|error| !error.is_nan()).collect()
        };
        self.rows().flat_map(band).collect()
    }

    /// The distance between two origins, in steps.
    #[must_use]
    pub fn stride(&self) -> usize {
        self.origins.array_windows().map(|[a, b]| b - a).next().unwrap_or(1)
    }
}

/// At most `most` origins of forecasts, from `from` on up to the last value but one. Their distance has no factor
/// in common with any season, so that they fall on every place of a period.
#[must_use]
pub fn origins(count: usize, from: usize, most: usize, seasons: &[usize]) -> Vec<usize> {
    let first = from.max(1);
    let room = count.saturating_sub(first);
    let mut stride = room.div_ceil(most.max(1)).max(1);
    while seasons.iter().any(|season| common(*season, stride) > 1) && stride < room {
        stride += 1;
    }
    let mut origins: Vec<usize> = (first..count).rev().step_by(stride).collect();
    origins.reverse();
    origins
}

/// The greatest common factor.
fn common(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common(b, a % b) }
}

/// Runs a method that was rewound to `from` over the history and compares its forecasts from up to `most` origins
/// with the observed values.
#[must_use]
pub fn track<M: Method>(
    (mut method, from): (M, usize),
    series: &Prepared,
    clock: &Clock<'_>,
    horizon: usize,
    most: usize,
    seasons: &[usize],
) -> Track {
    let origins = origins(series.values.len(), from, most, seasons);
    let mut errors = Vec::with_capacity(origins.len() * horizon);
    let mut known = from;
    let mut means = vec![0.0; horizon];
    for origin in &origins {
        let new = series.values.get(known..*origin).unwrap_or_default();
        method.update(new, &clock.after(known));
        known = *origin;
        method.expect(&clock.after(known), &mut means);
        let came = series.values.get(known..).unwrap_or_default();
        let came = came.iter().copied().chain(std::iter::repeat(f64::NAN));
        errors.extend(came.zip(&means).map(|(came, mean)| came - mean));
    }
    Track { origins, horizon, errors }
}
