use haggle_forecasting::{Outliers, larger};

use crate::{
    filter::{Distribution, Parameters, State, run},
    fit::Fit,
    form::{Error, Form, Seasonal},
    initial::Beginnings,
    moments::{Moments, means, variances},
    search::{beginnings, search, search_over},
};

/// Why there is no model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FitError {
    /// Not one value is present.
    #[error("no value is present: at least one is needed")]
    Empty,
    /// None of the given forms can be fitted to the values.
    #[error("none of the forms asked for can be fitted to these values")]
    NoForm,
}

/// A fitted series.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The member of the family.
    pub form: Form,
    /// Its parameters.
    pub parameters: Parameters,
    /// After the last value, on the scale of `unit`.
    pub state: State,
    /// The unit of the model's scale; above 0.
    pub unit: f64,
    /// The variance of the innovations: on the scale of `unit` squared where they are additive, relative
    /// where they are multiplicative.
    pub variance: f64,
    /// The corrected Akaike criterion it was chosen by; comparable between fits to the same values.
    pub criterion: f64,
    /// Decides which innovations are cut.
    pub outliers: Outliers,
}

/// The largest magnitude of a value on the model's own scale, so that squares stay finite.
const FURTHEST: f64 = 1e60;

/// The largest magnitude of a number in the state.
const MOST_SANE: f64 = 1e120;
/// The first value that is more than so many deviations from its expectation is an outlier.
const FAR_OUT: f64 = 8.0;
/// The lowest initial level of a multiplicative form, on the scale where values are about 1.
const LOWEST: f64 = 0.1;
const PLAIN: Parameters = Parameters {
    level: 0.5,
    trend: 0.0,
    damping: 1.0,
    transient: 0.0,
    persistence: 0.0,
    seasonal: [0.0; 2],
};

impl Model {
    /// Fits the values (oldest first, NaN is missing), and chooses among all forms. Of the seasons, in steps, at
    /// most two are used, and only those that fit into the values twice.
    ///
    /// # Errors
    /// [`FitError::Empty`] where no value is present.
    pub fn fit(values: &[f64], seasons: &[usize], horizon: usize) -> Result<Self, FitError> {
        let (values, unit) = to_scale(values)?;
        let errors = Distribution::NormalOrLaplace;
        let begin = beginnings(&values, seasons, errors);
        let fit = search_over(&values, &begin, errors, horizon);
        Ok(fit.map_or_else(|| Self::plain(&values, unit), |fit| Self::settle(&values, unit, fit)))
    }

    /// Fits the values by the likelihood of normal errors, and chooses among these forms, without
    /// transients. Of the seasons the first two that fit into the values twice are used.
    ///
    /// # Errors
    /// [`FitError`] where no value is present, or none of the forms can be fitted.
    pub fn fit_forms(values: &[f64], seasons: &[usize], forms: &[Form]) -> Result<Self, FitError> {
        let (values, unit) = to_scale(values)?;
        let fits = |m: &usize| *m >= 2 && 2 * *m <= values.len();
        let seasons: Vec<usize> = seasons.iter().copied().filter(fits).take(2).collect();
        let begin = Beginnings::of(&values, &seasons);
        let fit = search(&values, &begin, forms, Distribution::Normal).ok_or(FitError::NoForm)?;
        Ok(Self::settle(&values, unit, fit))
    }

    fn settle(values: &[f64], unit: f64, fit: Fit) -> Self {
        let criterion = fit.criterion();
        let Fit { form, parameters, initial, totals, freedom, .. } = fit;
        let mut state = initial;
        run(values, form, &parameters, &mut state, |_| {});
        let left = (totals.count - freedom).max(totals.count / 2.0).max(1.0);
        Self {
            form,
            parameters,
            state,
            unit,
            variance: totals.squares / left,
            criterion,
            outliers: Outliers::default(),
        }
    }

    /// A model that expects 0, with variance 1.
    #[must_use]
    pub(crate) fn flat() -> Self {
        let state = State { level: 0.0, trend: 0.0, transient: 0.0, seasons: Vec::new() };
        let form = Form::ALL[0];
        let criterion = f64::INFINITY;
        Self {
            form,
            parameters: PLAIN,
            state,
            unit: 1.0,
            variance: 1.0,
            criterion,
            outliers: Outliers::default(),
        }
    }

    /// The model of values that are too few for a choice: simple smoothing with α = 0.5.
    fn plain(values: &[f64], unit: f64) -> Self {
        let form = Form::ALL[0];
        let parameters = PLAIN;
        let first = values.iter().copied().find(|v| !v.is_nan()).unwrap_or(0.0);
        let mut state = State { level: first, trend: 0.0, transient: 0.0, seasons: Vec::new() };
        let totals = run(values, form, &parameters, &mut state, |_| {});
        // The prior variance is one more innovation of a quarter of the level.
        let variance = (totals.squares + 0.0625 * first * first) / totals.count.max(1.0);
        Self {
            form,
            parameters,
            state,
            unit,
            variance,
            criterion: f64::INFINITY,
            outliers: Outliers::default(),
        }
    }

    /// The model with the same parameters, in the state that it would have after the first `count` of these values
    /// alone.
    #[must_use]
    pub fn early(&self, values: &[f64], count: usize) -> Self {
        let first = values.get(..count).unwrap_or(values);
        let first: Vec<f64> = first.iter().map(|v| scaled(*v, self.unit)).collect();
        let lengths: Vec<usize> = self.state.seasons.iter().map(|s| s.profile.len()).collect();
        let mut state = Beginnings::of(&first, &lengths).state(&first, self.form);
        if self.form.needs_positive() {
            // The slope comes from a few values, and the parameters were fitted with another initial state. If they
            // hardly correct the slope, it leads below 0, where a multiplicative form is meaningless.
            state.trend = 0.0;
            state.level = state.level.max(LOWEST);
        }
        run(&first, self.form, &self.parameters, &mut state, |_| {});
        let mut early = Self { state, outliers: Outliers::default(), ..self.clone() };
        early.keep_sane();
        early
    }

    /// Updates the state with the next values; parameters and variance stay. An innovation that is far out is cut
    /// before it changes the state. If the next one is far out too, it is treated as a shift and not cut.
    pub fn update(&mut self, values: &[f64]) {
        let lowest = if self.form.needs_positive() { 0.0 } else { -FURTHEST };
        for value in values {
            let value = scaled(*value, self.unit);
            let missing = value.is_nan();
            let value = if missing {
                value
            } else {
                larger(self.within_reach(larger(value, lowest)), lowest)
            };
            run(&[value], self.form, &self.parameters, &mut self.state, |_| {});
        }
        self.keep_sane();
    }

    fn within_reach(&mut self, value: f64) -> f64 {
        let mut expected = [0.0];
        means(self.form, &self.parameters, &self.state, &mut expected);
        let [expected] = expected;
        let relative = self.form.error == Error::Multiplicative;
        let deviation = self.variance.sqrt() * if relative { expected.abs() } else { 1.0 };
        let most = FAR_OUT * deviation;
        let off = value - expected;
        let cuts = self.outliers.cuts(off.abs() > most);
        if cuts { expected + most.copysign(off) } else { value }
    }

    /// Resets numbers of the state that are too large to compute with and to write.
    fn keep_sane(&mut self) {
        let neutral = if self.form.seasonal == Seasonal::Multiplicative { 1.0 } else { 0.0 };
        let State { level, trend, transient, seasons } = &mut self.state;
        let sane = |number: &f64| number.abs() <= MOST_SANE;
        for number in [level, trend, transient].into_iter().filter(|number| !sane(number)) {
            *number = 0.0;
        }
        for number in seasons.iter_mut().flat_map(|s| &mut s.profile).filter(|v| !sane(v)) {
            *number = neutral;
        }
    }

    /// The means and variances of the next `steps` values.
    #[must_use]
    pub fn forecast(&self, steps: usize) -> Moments {
        let mut moments = Moments { mean: vec![0.0; steps], variance: vec![0.0; steps] };
        self.expect(&mut moments.mean);
        self.variances(&mut moments.variance);
        moments
    }

    /// The means of the next values, one for each place of `out`.
    pub fn expect(&self, out: &mut [f64]) {
        means(self.form, &self.parameters, &self.state, out);
        out.iter_mut().for_each(|v| *v *= self.unit);
    }

    /// The variances of the next values about their means, one for each place of `out`.
    pub fn variances(&self, out: &mut [f64]) {
        variances(self.form, &self.parameters, &self.state, self.variance, out);
        out.iter_mut().for_each(|v| *v *= self.unit * self.unit);
    }
}

/// The mean magnitude of the values; 1 if all are 0; none if no value is present.
fn unit(values: &[f64]) -> Option<f64> {
    let present = || values.iter().filter(|v| v.is_finite()).map(|v| v.abs());
    let largest = present().reduce(f64::max)?;
    if largest == 0.0 {
        return Some(1.0);
    }
    let (sum, count) = present().fold((0.0, 0.0), |(sum, n), v| (sum + v / largest, n + 1.0));
    Some((largest * (sum / count)).max(f64::MIN_POSITIVE))
}

/// The values in multiples of their unit, and the unit.
fn to_scale(values: &[f64]) -> Result<(Vec<f64>, f64), FitError> {
    let unit = unit(values).ok_or(FitError::Empty)?;
    Ok((values.iter().map(|v| scaled(*v, unit)).collect(), unit))
}

fn scaled(value: f64, unit: f64) -> f64 {
    if value.is_finite() { (value / unit).clamp(-FURTHEST, FURTHEST) } else { f64::NAN }
}
