use haggle_exponential_smoothing::decompose;

use crate::{
    css::{Differenced, Fitted, difference},
    model::{Model, Profile, cleared},
    orders::{Coefficients, Orders},
    search::search,
    unit_root::{differences, seasonal_strength},
};

/// The longest season, in steps, that the model itself may follow. Only a profile can be subtracted for a longer
/// one.
const LONGEST: usize = 48;
/// If the history has at least so many periods of the season, forecasts of the past choose the model instead of the
/// criterion.
const PERIODS: usize = 10;
/// A season stronger than this is differenced.
const STRONG: f64 = 0.64;
/// The bound of Huber's loss, in multiples of the usual innovation.
const HUBER: f64 = 1.5;
/// The number of origins from which the past is forecast, to choose how the seasons are treated.
const ORIGINS: usize = 40;

impl Model {
    /// Fits the values (oldest first); `present` marks the observed ones; the others fill gaps. Orders are chosen
    /// as by Hyndman & Khandakar: the differences by tests, the other orders stepwise by the corrected Akaike
    /// criterion. Seasons are removed before the fit by subtracting their profiles. If the history has at least ten
    /// periods of the shortest season, and that season has at most 48 steps, the model may follow it instead.
    /// Forecasts of the past over `horizon` steps decide. None without values.
    #[must_use]
    pub fn fit(
        values: &[f64],
        present: &[bool],
        seasons: &[usize],
        horizon: usize,
    ) -> Option<Self> {
        values.first()?;
        let fits = |m: &usize| *m >= 2 && 2 * *m <= values.len();
        let seasons: Vec<usize> = seasons.iter().copied().filter(fits).collect();
        let first = seasons.first().copied().unwrap_or(0);
        let often = first > 0 && values.len() >= PERIODS * first;
        let mut ways = vec![(Vec::new(), 0)];
        if first > 0 {
            let off = taken_off(values, present, &seasons);
            if often && first <= LONGEST {
                ways.clear();
                let others = off.iter().copied().filter(|m| *m != first).collect();
                ways.push((others, first));
            }
            ways.push((off, 0));
        }
        let mut best: Option<(f64, Self)> = None;
        for (profiles, season) in ways {
            let Some((model, criterion)) = Self::one_way(values, present, &profiles, season) else {
                continue;
            };
            let judged = if often { model.off(values, horizon) } else { criterion };
            if best.as_ref().is_none_or(|(lowest, _)| judged < *lowest) {
                best = Some((judged, model));
            }
        }
        best.map(|(_, model)| model)
    }

    /// Fits given orders by least squares.
    #[must_use]
    pub fn fit_orders(values: &[f64], orders: Orders) -> Option<Self> {
        values.first()?;
        let present = vec![true; values.len()];
        let series = Differenced::of(values, &present, &orders, f64::INFINITY);
        let fitted = series.fit(orders, &Coefficients::default().resized(&orders), 50);
        Some(Self::settle(values, Vec::new(), 0.0, fitted))
    }

    /// Subtracts the profiles of the seasons `lengths`, lets the model follow `season` (0 for none), and returns
    /// the model with the lowest criterion, and that criterion.
    pub(crate) fn one_way(
        values: &[f64],
        present: &[bool],
        lengths: &[usize],
        season: usize,
    ) -> Option<(Self, f64)> {
        let found = decompose(values, lengths);
        let freedom = found.iter().map(|p| p.strength * (p.values.len() as f64 - 1.0)).sum();
        let profiles: Vec<Profile> =
            found.into_iter().map(|p| Profile { values: p.values, position: 0 }).collect();
        let cleared = cleared(values, &profiles);
        let strong = season > 0 && seasonal_strength(&cleared, season) > STRONG;
        let seasonal_differences = usize::from(strong);
        let stationary = |lag: usize| difference(&cleared, lag);
        let tested = if strong { stationary(season) } else { cleared.clone() };
        let differences = differences(&tested).min(2 - seasonal_differences);
        let base = Orders::plain(0, differences, 0).seasonal(0, seasonal_differences, 0, season);
        let mut series = Differenced::of(&cleared, present, &base, f64::INFINITY);
        let probe = Orders { ar: 2.min(series.values.len() / 6), ..base };
        let probed = series.fit(probe, &Coefficients::default().resized(&probe), 4);
        let left = series.innovations(&probe, &probed.coefficients);
        series.bound = HUBER * usual(&left);
        let fitted = search(&series, base, freedom)?;
        let criterion = fitted.criterion(freedom);
        Some((Self::settle(values, profiles, freedom, fitted), criterion))
    }

    fn settle(values: &[f64], profiles: Vec<Profile>, freedom: f64, fitted: Fitted) -> Self {
        let left = fitted.totals.count - fitted.orders.coefficients() as f64 - freedom;
        let left = left.max(fitted.totals.count / 2.0).max(1.0);
        let variance = fitted.totals.squares / left;
        let cleared = cleared(values, &profiles);
        let mut model = Self::with(&cleared, fitted.orders, fitted.coefficients, variance);
        model.profiles = profiles;
        model.advance(values.len());
        model
    }

    /// The mean error of forecasts over the horizon from origins after the first third of the values.
    fn off(&self, values: &[f64], horizon: usize) -> f64 {
        let from = (values.len() / 3).max(1);
        let mut model = self.clone();
        let whole = model.profiles.iter().map(|p| p.values.len()).collect::<Vec<_>>();
        for (profile, length) in model.profiles.iter_mut().zip(whole) {
            profile.position = (profile.position + length - values.len() % length) % length;
        }
        let cleared = cleared(values, &model.profiles);
        let first = cleared.get(..from).unwrap_or(&cleared);
        let mut then = Self::with(first, self.orders, self.coefficients.clone(), self.variance);
        // Odd, so that the origins fall on different times of the day.
        let stride = (values.len() - from).div_ceil(ORIGINS) | 1;
        let mut means = vec![0.0; horizon.min(values.len() / 3).max(1)];
        let (mut sum, mut count, mut rest) = (0.0, 0.0, cleared.get(from..).unwrap_or_default());
        while rest.len() >= means.len() {
            then.expect(&mut means);
            sum += rest.iter().zip(&means).map(|(value, mean)| (value - mean).abs()).sum::<f64>();
            count += means.len() as f64;
            let (now, later) = rest.split_at(stride.min(rest.len()));
            now.iter().for_each(|value| then.update(*value));
            rest = later;
        }
        if count > 0.0 { sum / count } else { f64::INFINITY }
    }
}

/// Chooses the seasons to subtract: the shortest alone, or the shortest and one other. An autoregression is fitted
/// to the rest of each choice, and the lowest criterion wins, so a profile must be worth its parameters.
fn taken_off(values: &[f64], present: &[bool], seasons: &[usize]) -> Vec<usize> {
    let first = seasons.iter().take(1).copied();
    let mut sets = vec![first.clone().collect::<Vec<_>>()];
    sets.extend(seasons.iter().skip(1).map(|m| first.clone().chain([*m]).collect()));
    if sets.len() < 2 {
        return sets.pop().unwrap_or_default();
    }
    let judge = |set: Vec<usize>| {
        let found = decompose(values, &set);
        let freedom: f64 = found.iter().map(|p| p.strength * (p.values.len() as f64 - 1.0)).sum();
        let profiles: Vec<Profile> =
            found.into_iter().map(|p| Profile { values: p.values, position: 0 }).collect();
        let cleared = cleared(values, &profiles);
        let probe = Orders::plain(3, 0, 0).with_constant(true);
        let series = Differenced::of(&cleared, present, &probe, f64::INFINITY);
        let fitted = series.fit(probe, &Coefficients::default().resized(&probe), 5);
        (fitted.criterion(freedom), set)
    };
    let best = sets.into_iter().map(judge).min_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, set)| set).unwrap_or_default()
}

/// The usual magnitude: the standard deviation as estimated from the median magnitude, and at least a tenth of the
/// mean magnitude, in case most values are 0.
fn usual(values: &[f64]) -> f64 {
    let mut magnitudes: Vec<f64> = values.iter().map(|v| v.abs()).collect();
    let mean = magnitudes.iter().sum::<f64>() / magnitudes.len().max(1) as f64;
    let middle = magnitudes.len() / 2;
    magnitudes.sort_unstable_by(f64::total_cmp);
    let median = magnitudes.get(middle).copied().unwrap_or(0.0);
    (1.4826 * median).max(0.1 * mean).max(1e-9)
}
