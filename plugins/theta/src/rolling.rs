//! Chooses parameters for forecasts over the whole horizon instead of the next step: those with the smallest errors
//! of past forecasts from many origins (generalised rolling origin evaluation, as in Fiorucci, Louzada & Yiqi, "The
//! optimised theta method", 2015, there for the line alone). A level that jumps after every value forecasts well
//! one step ahead, but not days ahead.
//!
//! Seasons change too. Besides level and drift, the search therefore chooses the gains of the profiles, as in
//! exponential smoothing.

use haggle_exponential_smoothing::{Search, minimise};
use haggle_forecasting::{Clock, Method, Prepared, Setting, mean, track};

use crate::{
    line::Parameters,
    method::DynamicTheta,
    model::{Model, SLOWEST},
};

/// The number of origins from which the past is forecast.
const ORIGINS: usize = 40;
const LOOK: Search = Search { reach: 0.2, calls: 40, tolerance: 1e-3 };
/// The starting points of the search: level, drift, and the gains of two profiles. They are a steady model, the
/// theta method as first published, a fast level, fast profiles, and a level that is nearly the last value.
const STARTS: [[f64; 4]; 5] = [
    [0.02, 0.0, 0.02, 0.02],
    [0.1, 0.5, 0.1, 0.1],
    [0.5, 0.0, 0.05, 0.05],
    [0.02, 0.0, 0.6, 0.6],
    [0.95, 0.0, 0.02, 0.02],
];

/// The candidate, with its best parameters, that would have forecast the past best.
pub(crate) fn best(
    candidates: impl Iterator<Item = DynamicTheta>,
    series: &Prepared,
    setting: &Setting<'_>,
) -> Option<DynamicTheta> {
    let tuned = candidates.map(|candidate| tune(&candidate, series, setting));
    tuned.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, tuned)| tuned)
}

/// The mean error of forecasts of the past, and the candidate with the parameters that minimise it.
fn tune(candidate: &DynamicTheta, series: &Prepared, setting: &Setting<'_>) -> (f64, DynamicTheta) {
    let count = series.values.len();
    let clock = Clock { start: series.start, step: series.step, events: setting.events };
    let reach = setting.horizon.min(count / 3).max(1);
    // Profiles of the whole history know the later values, so they would need no gains. Here they are those of the
    // first part, which is the same for all candidates and has two periods of each season, if possible.
    let longest = setting.seasons.iter().copied().filter(|m| 2 * m <= count).max().unwrap_or(0);
    let from = (count / 2).max(2 * longest).min(3 * count / 4).max(1);
    let origin = candidate.origin;
    let values: Vec<f64> = series.clean.iter().map(|value| value - origin).collect();
    let early = candidate.model.early(&values, from);
    let run = |model: &Model, place: &[f64; 4], until: usize| {
        let (parameters, gains) = parameters(place);
        let first = values.first().copied().unwrap_or(0.0);
        let model = model.after_first(first, parameters, &gains);
        let mut method = DynamicTheta { model, origin };
        method.update(series.values.get(1..until).unwrap_or_default(), &clock);
        method
    };
    let off = |place: &[f64; 4]| {
        let method = run(&early, place, from);
        let track = track((method, from), series, &clock, reach, ORIGINS, setting.seasons);
        mean(track.errors.iter().filter(|error| !error.is_nan()).map(|error| error.abs()))
    };
    let starts = STARTS.into_iter().map(|start| (off(&start), start));
    let start = starts.min_by(|a, b| a.0.total_cmp(&b.0)).map_or([0.5; 4], |(_, start)| start);
    let dimensions = 2 + candidate.model.adjustment.profiles.len();
    let lowest = minimise(start, dimensions, LOOK, off);
    (lowest.value, run(&candidate.model, &lowest.point, count))
}

/// The parameters at a place of the unit cube: level and gains add up to 1 at most.
fn parameters([level, drift, first, second]: &[f64; 4]) -> (Parameters, [f64; 2]) {
    let level = SLOWEST + (1.0 - SLOWEST) * level;
    let first = (1.0 - level) * first;
    let second = (1.0 - level - first) * second;
    (Parameters { level, drift: *drift }, [first, second])
}
