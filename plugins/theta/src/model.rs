use haggle_exponential_smoothing::{Distribution, Search, Totals, minimise};
use haggle_forecasting::Outliers;

use crate::{
    adjustment::Adjustment,
    line::{Line, Lines, Parameters},
};

/// A fitted series.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The parameters.
    pub parameters: Parameters,
    /// The state after the last value, of the series without its seasons.
    pub line: Line,
    /// The seasons, at the next value.
    pub adjustment: Adjustment,
    /// The variance of an innovation, for a usual place of the seasons.
    pub variance: f64,
    /// Decides which innovations are cut.
    pub outliers: Outliers,
}

const LOOK: Search = Search { reach: 0.25, calls: 60, tolerance: 1e-2 };
/// The first value that is more than so many deviations from its expectation is an outlier.
const FAR_OUT: f64 = 8.0;
/// The smallest number of innovations that parameters are estimated from.
const FEWEST: f64 = 6.0;
/// The smallest α, so that the level always follows recent values.
pub(crate) const SLOWEST: f64 = 0.01;
/// The largest magnitude of a number in the state.
const MOST_SANE: f64 = 1e120;

/// A set of seasons that are removed from a series, and the best parameters for the rest.
struct Trial {
    parameters: Parameters,
    adjustment: Adjustment,
    cleared: Vec<f64>,
    innovations: Totals,
    /// The level before the first value.
    before: f64,
    freedom: f64,
}

impl Model {
    /// Fits the values (oldest first); `present` marks the observed ones; the others fill gaps. The corrected
    /// Akaike criterion chooses the seasons that are removed (none, one or two) and whether they are amounts or
    /// factors. None without values.
    #[must_use]
    pub fn fit(values: &[f64], present: &[bool], seasons: &[usize]) -> Option<Self> {
        Self::choose(values, present, seasons, values.iter().all(|v| *v > 0.0))
    }

    /// As [`Model::fit`], but seasons are amounts, never factors.
    #[must_use]
    pub fn fit_additive(values: &[f64], present: &[bool], seasons: &[usize]) -> Option<Self> {
        Self::choose(values, present, seasons, false)
    }

    /// The best model by the corrected Akaike criterion; factors only where `positive`.
    pub(crate) fn choose(
        values: &[f64],
        present: &[bool],
        seasons: &[usize],
        positive: bool,
    ) -> Option<Self> {
        let trials = Trial::all(values, present, seasons, positive);
        let best = trials.into_iter().min_by(|a, b| a.criterion().total_cmp(&b.criterion()));
        best.map(Trial::settle)
    }

    /// The best model of each set of seasons: none, each by itself, and two together.
    pub(crate) fn candidates(
        values: &[f64],
        present: &[bool],
        seasons: &[usize],
        positive: bool,
    ) -> Vec<Self> {
        Trial::all(values, present, seasons, positive).into_iter().map(Trial::settle).collect()
    }

    /// A model that expects 0, with variance 1.
    pub(crate) fn flat() -> Self {
        let parameters = Parameters { level: 0.5, drift: 0.0 };
        let (adjustment, _) = Adjustment::of(&[], &[], false);
        let line = Line::after_first(0.0, 0.0, &parameters);
        Self { parameters, line, adjustment, variance: 1.0, outliers: Outliers::default() }
    }

    /// Fits the values without looking for seasons in them.
    #[must_use]
    pub fn fit_plain(values: &[f64]) -> Option<Self> {
        Self::fit(values, &vec![true; values.len()], &[])
    }

    /// The model with the same parameters, in the state that it would have after the first `count` of these values
    /// alone.
    #[must_use]
    pub fn early(&self, values: &[f64], count: usize) -> Self {
        let first = values.get(..count).unwrap_or(values);
        let lengths: Vec<usize> = self.adjustment.profiles.iter().map(Vec::len).collect();
        let positive = first.iter().all(|v| *v > 0.0);
        let multiplicative = self.adjustment.multiplicative && positive;
        let (mut adjustment, _) = Adjustment::of(first, &lengths, multiplicative);
        adjustment.gains.clone_from(&self.adjustment.gains);
        let cleared = cleared(first, &adjustment);
        let line = run(&cleared, cleared.first().copied().unwrap_or(0.0), &self.parameters);
        let mut early = Self { line, adjustment, outliers: Outliers::default(), ..self.clone() };
        early.adjustment.advance(first.len());
        early
    }

    /// The model with the same seasons and variance in the state after this first value alone, with other
    /// parameters and other gains of the profiles.
    #[must_use]
    pub fn after_first(&self, value: f64, parameters: Parameters, gains: &[f64]) -> Self {
        let mut model = Self { parameters, outliers: Outliers::default(), ..self.clone() };
        model.adjustment.positions.fill(0);
        model.adjustment.gains.iter_mut().zip(gains).for_each(|(own, gain)| *own = *gain);
        let first = model.adjustment.clear(value, model.adjustment.part());
        model.line = Line::after_first(first, first, &parameters);
        model.adjustment.advance(1);
        model
    }

    /// Updates the state with the next value. NaN is missing and counts as its expectation. An innovation that is
    /// far out is cut before it changes the state. If the next one is far out too, it is treated as a shift and not
    /// cut.
    pub fn update(&mut self, value: f64) {
        let expected = self.line.expect(&self.parameters);
        let came = self.adjustment.clear(value, self.adjustment.part());
        let came = if came.is_nan() { expected } else { self.within_reach(came, expected) };
        let came = came.clamp(-MOST_SANE, MOST_SANE);
        self.line.update(came, &self.parameters);
        self.adjustment.follow(came - expected, expected);
    }

    fn within_reach(&mut self, value: f64, expected: f64) -> f64 {
        let most = FAR_OUT * self.variance.sqrt();
        let off = value - expected;
        let cuts = self.outliers.cuts(off.abs() > most);
        if cuts { expected + most.copysign(off) } else { value }
    }

    /// The means of the next values, one for each place of `out`.
    pub fn expect(&self, out: &mut [f64]) {
        self.line.expect_all(&self.parameters, out);
        self.adjustment.restore(out);
        out.iter_mut().for_each(|mean| *mean = mean.clamp(-MOST_SANE, MOST_SANE));
    }

    /// The variances of the next values about their means at a usual place of the seasons, one for each
    /// place of `out`.
    pub fn variances(&self, out: &mut [f64]) {
        self.line.growth(&self.parameters, out);
        out.iter_mut().for_each(|factor| *factor *= self.variance);
    }
}

impl Trial {
    /// The best trial of each set of seasons: with amounts or, if `positive` is set, with factors.
    fn all(values: &[f64], present: &[bool], seasons: &[usize], positive: bool) -> Vec<Self> {
        if values.is_empty() {
            return Vec::new();
        }
        let fits = |m: &usize| *m >= 2 && 2 * *m <= values.len();
        let seasons: Vec<usize> = seasons.iter().copied().filter(fits).collect();
        let mut sets = vec![Vec::new()];
        sets.extend(seasons.iter().map(|m| vec![*m]));
        for (place, short) in seasons.iter().enumerate() {
            sets.extend(seasons.iter().skip(place + 1).map(|long| vec![*short, *long]));
        }
        let best = |set: Vec<usize>| {
            let amounts = Self::of(values, present, &set, false);
            if set.is_empty() || !positive {
                return amounts;
            }
            let factors = Self::of(values, present, &set, true);
            if factors.criterion() < amounts.criterion() { factors } else { amounts }
        };
        sets.into_iter().map(best).collect()
    }

    fn of(values: &[f64], present: &[bool], seasons: &[usize], multiplicative: bool) -> Self {
        let (adjustment, seasonal) = Adjustment::of(values, seasons, multiplicative);
        let mut weights = vec![0.0; values.len()];
        adjustment.ahead(&mut weights);
        let cleared = cleared(values, &adjustment);
        if !multiplicative {
            weights.fill(1.0);
        }
        let missing = weights.iter_mut().zip(present).filter(|(_, present)| !**present);
        missing.for_each(|(weight, _)| *weight = 0.0);
        let lines = Lines::of(&cleared, &weights);
        let parameters = |[x, drift]: &[f64; 2]| {
            let level = SLOWEST + (1.0 - SLOWEST) * x;
            Parameters { level, drift: *drift }
        };
        let deviance = |place: &[f64; 2]| {
            let (totals, _) = lines.innovations(&parameters(place));
            totals.deviance(Distribution::NormalOrLaplace)
        };
        let starts = [[0.1, 0.5], [0.5, 0.5], [0.9, 0.2]];
        let start = starts.into_iter().map(|start| (deviance(&start), start));
        let start = start.min_by(|a, b| a.0.total_cmp(&b.0)).map_or([0.5; 2], |(_, start)| start);
        let mut parameters = parameters(&minimise(start, 2, LOOK, deviance).point);
        let (innovations, mut before) = lines.innovations(&parameters);
        if innovations.count < FEWEST {
            // There are too few values to estimate parameters.
            parameters = Parameters { level: 0.5, drift: 0.0 };
            before = cleared.first().copied().unwrap_or(0.0);
        }
        let freedom = seasonal + 3.0;
        Self { parameters, adjustment, cleared, innovations, before, freedom }
    }

    fn criterion(&self) -> f64 {
        let k = self.freedom + 1.0;
        let left = (self.innovations.count - k - 1.0).max(0.5);
        self.innovations.deviance(Distribution::NormalOrLaplace)
            + 2.0 * k
            + 2.0 * k * (k + 1.0) / left
    }

    fn settle(self) -> Model {
        let Totals { count, squares, .. } = self.innovations;
        let left = (count - self.freedom).max(count / 2.0).max(1.0);
        let mean_factor = if self.adjustment.multiplicative {
            let mut parts = vec![0.0; self.cleared.len()];
            self.adjustment.ahead(&mut parts);
            (parts.iter().map(|f| f * f).sum::<f64>() / parts.len().max(1) as f64).max(1e-12)
        } else {
            1.0
        };
        let line = run(&self.cleared, self.before, &self.parameters);
        let mut adjustment = self.adjustment;
        adjustment.advance(self.cleared.len());
        let variance = squares / left / mean_factor;
        Model {
            parameters: self.parameters,
            line,
            adjustment,
            variance,
            outliers: Outliers::default(),
        }
    }
}

fn cleared(values: &[f64], adjustment: &Adjustment) -> Vec<f64> {
    let mut parts = vec![0.0; values.len()];
    adjustment.ahead(&mut parts);
    values.iter().zip(parts).map(|(value, part)| adjustment.clear(*value, part)).collect()
}

fn run(cleared: &[f64], before: f64, p: &Parameters) -> Line {
    let first = cleared.first().copied().unwrap_or(0.0);
    let mut line = Line::after_first(first, before, p);
    cleared.iter().skip(1).for_each(|value| line.update(*value, p));
    line
}
