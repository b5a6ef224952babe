use crate::{
    filter::{Distribution, Parameters, State, Totals, run},
    form::{Error, Form, Seasonal, Trend},
    initial::Beginnings,
    moments::means,
    refine::refine,
    simplex::{Lowest, Search, minimise},
};

/// A form with the best parameters found for it.
#[derive(Clone, Debug)]
pub(crate) struct Fit {
    pub(crate) form: Form,
    pub(crate) parameters: Parameters,
    /// Before the first value.
    pub(crate) initial: State,
    pub(crate) totals: Totals,
    pub(crate) errors: Distribution,
    /// How many parameters were estimated from the values, without the variance.
    pub(crate) freedom: f64,
    place: [f64; 7],
}

/// The searches for parameters: a short and a closer one by the likelihood, and one by forecasts over the whole
/// horizon.
const FIRST: Search = Search { reach: 0.2, calls: 40, tolerance: 0.1 };
const CLOSER: Search = Search { reach: 0.1, calls: 60, tolerance: 1e-3 };
const TUNE: Search = Search { reach: 0.2, calls: 60, tolerance: 1e-4 };
/// The number of origins from which the past is forecast.
const ORIGINS: usize = 40;
/// The largest persistence of a transient: what fades more slowly belongs to the level.
const MOST_PERSISTENT: f64 = 0.99;
/// The largest mean square of multiplicative errors; forms with larger ones are rejected.
const MOST_RELATIVE: f64 = 0.25;
/// The starting points of the short search: the shares of an innovation that level and season take.
const STARTS: [(f64, f64); 5] = [(0.1, 0.05), (0.3, 0.2), (0.6, 0.02), (0.6, 0.3), (0.95, 0.3)];
/// The second starting point of the tuning.
const SLOW_LEVEL: (f64, f64) = (0.05, 0.6);

impl Fit {
    /// Fits a form with the short search.
    pub(crate) fn first(
        values: &[f64],
        begin: &Beginnings,
        form: Form,
        errors: Distribution,
    ) -> Self {
        let initial = begin.state(values, form);
        let freedom = begin.freedom(form) + free(form, &initial) as f64;
        let deviance = |place: &[f64; 7]| {
            let p = parameters(form, &initial, place);
            run(values, form, &p, &mut initial.clone(), |_| {}).deviance(errors)
        };
        let seasonal = form.seasonal != Seasonal::None;
        let starts = STARTS.iter().filter(|(_, gamma)| seasonal || *gamma < 0.3);
        let starts = starts.map(|(alpha, gamma)| compact(form, *alpha, *gamma));
        let best = starts.map(|place| (deviance(&place), place)).min_by(|a, b| a.0.total_cmp(&b.0));
        let start = best.map_or([0.3; 7], |(_, place)| place);
        let Lowest { point, .. } = look(values, form, &initial, errors, start, FIRST);
        let parameters = parameters(form, &initial, &point);
        let totals = run(values, form, &parameters, &mut initial.clone(), |_| {});
        Self { form, parameters, initial, totals, errors, freedom, place: point }
    }

    /// The corrected Akaike criterion, up to a constant; infinite if there are too few values for the parameters,
    /// or if multiplicative errors are too large.
    pub(crate) fn criterion(&self) -> f64 {
        let k = self.freedom + 1.0;
        let left = self.totals.count - k - 1.0;
        if left <= 0.0 {
            return f64::INFINITY;
        }
        let wild = self.totals.squares > MOST_RELATIVE * self.totals.count;
        if wild && self.form.error == Error::Multiplicative {
            return f64::INFINITY;
        }
        let criterion = self.totals.deviance(self.errors) + 2.0 * k + 2.0 * k * (k + 1.0) / left;
        if criterion.is_nan() { f64::INFINITY } else { criterion }
    }

    /// Improves the parameters for forecasts over the whole horizon instead of the next step (as the
    /// criterion "AMSE" of Hyndman, Koehler, Snyder & Grose, 2002, does, with absolute errors), and returns
    /// the mean error.
    pub(crate) fn tune(&mut self, values: &[f64], horizon: usize) -> f64 {
        let from = |start: [f64; 7]| {
            minimise(start, free(self.form, &self.initial), TUNE, |place| {
                let p = parameters(self.form, &self.initial, place);
                self.off(&p, values, horizon)
            })
        };
        let mut lowest = from(self.place);
        if self.form.seasonal != Seasonal::None && !self.form.transient {
            // Parameters that are best over one step often leave the initial seasons unchanged, which is a local
            // minimum. Parameters with a slow level and seasons that adapt may be better.
            let (alpha, gamma) = SLOW_LEVEL;
            let other = from(compact(self.form, alpha, gamma));
            if other.value < lowest.value {
                lowest = other;
            }
        }
        self.place = lowest.point;
        self.parameters = parameters(self.form, &self.initial, &lowest.point);
        let mut state = self.initial.clone();
        self.totals = run(values, self.form, &self.parameters, &mut state, |_| {});
        lowest.value
    }

    /// The mean error of forecasts over the horizon from origins after the first third of the values.
    fn off(&self, parameters: &Parameters, values: &[f64], horizon: usize) -> f64 {
        let horizon = horizon.min(values.len() / 3).max(1);
        let mut state = self.initial.clone();
        let from = values.len() / 3;
        let (first, mut rest) = values.split_at(from);
        run(first, self.form, parameters, &mut state, |_| {});
        // Odd, so that the origins fall on different times of the day.
        let stride = (values.len() - from).div_ceil(ORIGINS) | 1;
        let (mut sum, mut count) = (0.0, 0.0);
        let mut expected = vec![0.0; horizon];
        while rest.len() >= horizon {
            means(self.form, parameters, &state, &mut expected);
            for (value, mean) in rest.iter().zip(&expected).filter(|(value, _)| !value.is_nan()) {
                sum += (value - mean).abs();
                count += 1.0;
            }
            let (now, later) = rest.split_at(stride.min(rest.len()));
            run(now, self.form, parameters, &mut state, |_| {});
            rest = later;
        }
        if count > 0.0 { sum / count } else { f64::INFINITY }
    }

    /// Improves the initial state and the parameters in turn.
    pub(crate) fn look_closer(&mut self, values: &[f64]) {
        for _ in 0..2 {
            let errors = self.errors;
            let before = self.totals.deviance(self.errors);
            if let Some(initial) =
                refine(values, self.form, &self.parameters, &self.initial, errors)
            {
                self.initial = initial;
            }
            let lowest = look(values, self.form, &self.initial, errors, self.place, CLOSER);
            self.place = lowest.point;
            self.parameters = parameters(self.form, &self.initial, &lowest.point);
            self.totals =
                run(values, self.form, &self.parameters, &mut self.initial.clone(), |_| {});
            if before - self.totals.deviance(self.errors) < 0.1 {
                break;
            }
        }
    }
}

fn look(
    values: &[f64],
    form: Form,
    initial: &State,
    errors: Distribution,
    start: [f64; 7],
    how: Search,
) -> Lowest<7> {
    let mut state = initial.clone();
    minimise(start, free(form, initial), how, |place| {
        state.clone_from(initial);
        run(values, form, &parameters(form, initial, place), &mut state, |_| {}).deviance(errors)
    })
}

/// How many parameters a form has.
fn free(form: Form, initial: &State) -> usize {
    let trend = match form.trend {
        Trend::None => 0,
        Trend::Additive => 1,
        Trend::Damped => 2,
    };
    1 + trend + 2 * usize::from(form.transient) + initial.seasons.len()
}

/// The starting point of a search.
fn compact(form: Form, alpha: f64, gamma: f64) -> [f64; 7] {
    let slope: &[f64] = match form.trend {
        Trend::None => &[],
        Trend::Additive => &[0.05],
        Trend::Damped => &[0.05, 0.9],
    };
    let transient: &[f64] = if form.transient { &[0.7, 0.9] } else { &[] };
    let parts = [&[alpha], slope, transient, &[gamma, gamma]];
    let mut place = [0.0; 7];
    place.iter_mut().zip(parts.into_iter().flatten()).for_each(|(x, part)| *x = *part);
    place
}

/// The parameters at a place of the unit cube: within the usual bounds 0 < β < α < 1, 0 < γ < 1 − α
/// (for the transient and both seasons together) and 0.8 ≤ φ ≤ 0.98.
fn parameters(form: Form, initial: &State, place: &[f64; 7]) -> Parameters {
    let within = |x: f64| 1e-4 + (1.0 - 2e-4) * x;
    let mut rest = place.iter().copied();
    let mut next = || rest.next().unwrap_or(0.0);
    let level = within(next());
    let trend = if form.trend == Trend::None { 0.0 } else { level * within(next()) };
    let damping = if form.trend == Trend::Damped { 0.8 + 0.18 * next() } else { 1.0 };
    let mut left = 1.0 - level;
    let mut part = |x: f64| {
        let part = left * within(x);
        left -= part;
        part
    };
    let (transient, persistence) =
        if form.transient { (part(next()), MOST_PERSISTENT * next()) } else { (0.0, 0.0) };
    let mut seasonal = [0.0; 2];
    seasonal.iter_mut().take(initial.seasons.len()).for_each(|gamma| *gamma = part(next()));
    Parameters { level, trend, damping, transient, persistence, seasonal }
}
