use std::collections::VecDeque;

use haggle_exponential_smoothing::decompose;
use haggle_forecasting::Outliers;

use crate::{
    orders::{Coefficients, Lags, Orders},
    recursion::Recursion,
};

/// The profile of a season, which is subtracted before the model is fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// What the season adds at each place of a period.
    pub values: Vec<f64>,
    /// The place of the next value.
    pub position: usize,
}

/// A fitted series.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The orders.
    pub orders: Orders,
    /// The coefficients.
    pub coefficients: Coefficients,
    /// The variance of the innovations.
    pub variance: f64,
    /// The seasons that are subtracted, because the model itself does not follow them.
    pub profiles: Vec<Profile>,
    /// The last values without these seasons, oldest first: as many as the model needs.
    pub(crate) values: VecDeque<f64>,
    /// The last innovations, likewise.
    pub(crate) innovations: VecDeque<f64>,
    /// Decides which innovations are cut.
    pub(crate) outliers: Outliers,
    /// How many of the last values were missing and replaced by their expectations.
    pub(crate) missing: usize,
    recursion: Recursion,
}

/// The first value that is more than so many deviations from its expectation is an outlier.
const FAR_OUT: f64 = 8.0;
/// The largest magnitude of a number in the state.
const MOST_SANE: f64 = 1e120;

impl Model {
    /// The model with given orders, coefficients and variance after these values.
    #[must_use]
    pub fn with(values: &[f64], orders: Orders, coefficients: Coefficients, variance: f64) -> Self {
        let recursion = Recursion::of(&orders, &coefficients);
        let (values_back, innovations_back) =
            (recursion.values.longest(), recursion.innovations.longest());
        let mut model = Self {
            orders,
            coefficients,
            variance,
            profiles: Vec::new(),
            values: VecDeque::with_capacity(values_back + 1),
            innovations: VecDeque::with_capacity(innovations_back + 1),
            outliers: Outliers::default(),
            missing: 0,
            recursion,
        };
        model.run(values);
        model
    }

    /// The model with the same parameters, in the state that it would have after the first `count` of these values
    /// alone.
    #[must_use]
    pub fn early(&self, values: &[f64], count: usize) -> Self {
        let first = values.get(..count).unwrap_or(values);
        let lengths: Vec<usize> = self.profiles.iter().map(|p| p.values.len()).collect();
        let profiles: Vec<Profile> = decompose(first, &lengths)
            .into_iter()
            .map(|p| Profile { values: p.values, position: 0 })
            .collect();
        let cleared = cleared(first, &profiles);
        let mut early = Self::with(&cleared, self.orders, self.coefficients.clone(), self.variance);
        early.profiles = profiles;
        early.advance(first.len());
        early
    }

    /// The longest season that it follows; 0 without one.
    #[must_use]
    pub fn longest_season(&self) -> usize {
        let profiles = self.profiles.iter().map(|p| p.values.len());
        profiles.chain([self.orders.season]).max().unwrap_or(0)
    }

    /// Processes values without seasons from the first one on. A value that has too few predecessors for a
    /// difference counts as its own expectation.
    fn run(&mut self, values: &[f64]) {
        let lost = self.orders.differences + self.orders.seasonal_differences * self.orders.season;
        for (place, value) in values.iter().enumerate() {
            let expected =
                if place < lost { *value } else { self.recursion_with_mean(place, values) };
            self.push(*value, value - expected);
        }
    }

    /// The expectation of the value at a place. The values before the first one are assumed to be such that their
    /// differences are the mean.
    fn recursion_with_mean(&self, place: usize, values: &[f64]) -> f64 {
        let back = self.recursion.values.longest();
        if place >= back {
            return self.recursion.expect(&self.values, &self.innovations);
        }
        // For lags that reach before the first value, extend the values backwards so that their differences are the
        // mean.
        let early = values.get(..place).unwrap_or_default();
        let mut extended = self.extend(early, back - place);
        extended.extend(early);
        self.recursion.expect(&extended, &self.innovations)
    }

    /// `count` values before the known ones, such that the differences are the mean.
    fn extend(&self, known: &[f64], count: usize) -> VecDeque<f64> {
        let mut whole: VecDeque<f64> = known.iter().copied().collect();
        let plain = Coefficients { mean: self.coefficients.mean, ..Coefficients::default() };
        let orders = Orders { ar: 0, ma: 0, seasonal_ar: 0, seasonal_ma: 0, ..self.orders };
        let (_, differences) = Lags::autoregressive(&orders, &plain);
        // (1 − B)ᵈ (1 − Bᵐ)ᴰ y_t = μ solved for the oldest value in it.
        let last = differences.0.last().copied();
        for _ in 0..count {
            let before = match last {
                None => plain.mean,
                Some((longest, c)) => {
                    let at = |lag: usize| {
                        (longest - lag)
                            .checked_sub(1)
                            .and_then(|p| whole.get(p))
                            .copied()
                            .unwrap_or(0.0)
                    };
                    let named = differences.0.iter().filter(|(lag, _)| *lag < longest);
                    let named: f64 = named.map(|(lag, c)| c * at(*lag)).sum();
                    (plain.mean - at(0) - named) / c
                }
            };
            whole.push_front(before);
        }
        whole.truncate(count);
        whole
    }

    fn push(&mut self, value: f64, innovation: f64) {
        let keep = |past: &mut VecDeque<f64>, new: f64, most: usize| {
            past.push_back(new.clamp(-MOST_SANE, MOST_SANE));
            while past.len() > most {
                past.pop_front();
            }
        };
        keep(&mut self.values, value, self.recursion.values.longest());
        keep(&mut self.innovations, innovation, self.recursion.innovations.longest());
    }

    pub(crate) fn advance(&mut self, count: usize) {
        for profile in &mut self.profiles {
            profile.position = (profile.position + count) % profile.values.len().max(1);
        }
    }

    fn part(&self, ahead: usize) -> f64 {
        let place = |p: &Profile| {
            p.values.get((p.position + ahead) % p.values.len().max(1)).copied().unwrap_or(0.0)
        };
        self.profiles.iter().map(place).sum()
    }

    /// Updates the state with the next value. NaN is missing and counts as its expectation. An innovation that is
    /// far out is cut before it changes the state. If the next one is far out too, it is treated as a shift and not
    /// cut.
    pub fn update(&mut self, value: f64) {
        let expected = self.recursion.expect(&self.values, &self.innovations);
        let came = value - self.part(0);
        if came.is_nan() {
            self.push(expected, 0.0);
            self.missing += 1;
        } else {
            let came = self.within_reach(came, expected);
            let expected = self.bridge(came - expected).unwrap_or(expected);
            self.push(came, came - expected);
        }
        self.advance(1);
    }

    /// Corrects the expectations that replaced missing values, once the next value is known to be `off` from its
    /// own. Adds a line that rises from 0 to `off` over the gap, because the fit fills gaps with straight lines
    /// too, and returns the new expectation of the next value. Without the correction, differences between observed
    /// values and a wrong course would grow without bound. None if nothing was missing.
    fn bridge(&mut self, off: f64) -> Option<f64> {
        let missing = std::mem::take(&mut self.missing);
        for (back, value) in self.values.iter_mut().rev().take(missing).enumerate() {
            *value += off * (missing - back) as f64 / (missing + 1) as f64;
        }
        (missing > 0).then(|| self.recursion.expect(&self.values, &self.innovations))
    }

    fn within_reach(&mut self, value: f64, expected: f64) -> f64 {
        let most = FAR_OUT * self.variance.sqrt();
        let off = value - expected;
        let cuts = self.outliers.cuts(off.abs() > most);
        if cuts { expected + most.copysign(off) } else { value }
    }

    /// The means of the next values, one for each place of `out`.
    pub fn expect(&self, out: &mut [f64]) {
        let room = |past: &VecDeque<f64>| {
            let mut all = Vec::with_capacity(past.len() + out.len());
            all.extend(past);
            all
        };
        let (mut values, mut innovations) = (room(&self.values), room(&self.innovations));
        for (ahead, mean) in out.iter_mut().enumerate() {
            let expected = self.recursion.expect(&values, &innovations);
            let expected = expected.clamp(-MOST_SANE, MOST_SANE);
            *mean = expected + self.part(ahead);
            values.push(expected);
            innovations.push(0.0);
        }
    }

    /// The variances of the next values about their means, one for each place of `out`: σ² Σ ψ_j².
    pub fn variances(&self, out: &mut [f64]) {
        let mut weights: Vec<f64> = Vec::with_capacity(out.len());
        let mut sum = 0.0_f64;
        let mut moving = self.recursion.innovations.0.iter().copied().peekable();
        for (ahead, variance) in out.iter_mut().enumerate() {
            let own = match moving.peek() {
                Some((lag, c)) if *lag == ahead => {
                    let c = *c;
                    moving.next();
                    c
                }
                _ => f64::from(u8::from(ahead == 0)),
            };
            let earlier = |(lag, c): &(usize, f64)| {
                ahead.checked_sub(*lag).and_then(|p| weights.get(p)).map_or(0.0, |w| c * w)
            };
            let weight = own + self.recursion.values.0.iter().map(earlier).sum::<f64>();
            let weight = weight.clamp(-1e60, 1e60);
            weights.push(weight);
            sum += weight * weight;
            *variance = self.variance * sum;
        }
    }

    /// Restores a written model; none if it has more past values than its orders need.
    pub(crate) fn restore(
        orders: Orders,
        coefficients: Coefficients,
        variance: f64,
        profiles: Vec<Profile>,
        (values, innovations): (Vec<f64>, Vec<f64>),
        (outliers, missing): (Outliers, usize),
    ) -> Option<Self> {
        let recursion = Recursion::of(&orders, &coefficients);
        let fit = values.len() <= recursion.values.longest()
            && innovations.len() <= recursion.innovations.longest();
        let (values, innovations) = (values.into(), innovations.into());
        let model = Self {
            orders,
            coefficients,
            variance,
            profiles,
            values,
            innovations,
            outliers,
            missing,
            recursion,
        };
        fit.then_some(model)
    }
}

/// The values without these seasons.
pub(crate) fn cleared(values: &[f64], profiles: &[Profile]) -> Vec<f64> {
    let mut cleared = values.to_vec();
    for profile in profiles {
        let parts = profile.values.iter().cycle().skip(profile.position);
        cleared.iter_mut().zip(parts).for_each(|(value, part)| *value -= part);
    }
    cleared
}
