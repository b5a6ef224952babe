//! Conditional sum of squares (Box & Jenkins, "Time Series Analysis", 1970, chapter 7): values before the first
//! count as the mean, and innovations before the first as 0. An innovation then costs a few multiplications,
//! whatever the length of the season. Levenberg's and Marquardt's method minimises the sum of squares, or that of
//! Huber's losses ("Robust estimation of a location parameter", 1964).

use haggle_exponential_smoothing::{Distribution, Totals, solve};
use haggle_forecasting::smaller;

use crate::orders::{Coefficients, Orders};

/// The highest order of a moving average.
pub(crate) const MOST_MA: usize = 5;

/// The input of a fit: a differenced series with its weights.
#[derive(Clone, Debug)]
pub(crate) struct Differenced {
    pub(crate) values: Vec<f64>,
    /// 1 for an observed value, 0 for a missing one.
    pub(crate) weights: Vec<f64>,
    /// The bound of Huber's loss: an innovation counts by its square up to this magnitude, and linearly above it.
    /// Infinite for least squares.
    pub(crate) bound: f64,
}

/// The best coefficients found.
#[derive(Clone, Debug)]
pub(crate) struct Fitted {
    pub(crate) orders: Orders,
    pub(crate) coefficients: Coefficients,
    pub(crate) totals: Totals,
}

/// Takes differences at a lag.
pub(crate) fn difference(values: &[f64], lag: usize) -> Vec<f64> {
    let later = values.get(lag..).unwrap_or_default();
    later.iter().zip(values).map(|(now, before)| now - before).collect()
}

impl Differenced {
    pub(crate) fn of(values: &[f64], present: &[bool], orders: &Orders, bound: f64) -> Self {
        let mut differenced = values.to_vec();
        for _ in 0..orders.seasonal_differences {
            differenced = difference(&differenced, orders.season);
        }
        for _ in 0..orders.differences {
            differenced = difference(&differenced, 1);
        }
        let lost = values.len() - differenced.len();
        let weights = present.iter().skip(lost).map(|here| f64::from(u8::from(*here))).collect();
        Self { values: differenced, weights, bound }
    }

    /// The innovations that these coefficients leave.
    pub(crate) fn innovations(&self, orders: &Orders, c: &Coefficients) -> Vec<f64> {
        let centred: Vec<f64> = self.values.iter().map(|v| v - c.mean).collect();
        let mut left = centred.clone();
        lagged(&mut left, &centred, &c.ar, 1);
        if !c.seasonal_ar.is_empty() {
            let once = left.clone();
            lagged(&mut left, &once, &c.seasonal_ar, orders.season);
        }
        if let Some((first, more)) = c.seasonal_ma.split_first() {
            unwind_seasonal(&mut left, *first, more, orders.season.max(1));
        }
        if !c.ma.is_empty() {
            unwind(&mut left, &c.ma);
        }
        left
    }

    fn loss(&self, innovations: &[f64]) -> f64 {
        let loss = |(e, weight): (&f64, &f64)| {
            let magnitude = e.abs();
            let within = smaller(magnitude, self.bound);
            weight * within * (2.0 * magnitude - within)
        };
        innovations.iter().zip(&self.weights).map(loss).sum()
    }

    /// How much an innovation counts in a weighted least squares step.
    fn emphasis(&self, e: f64, weight: f64) -> f64 {
        if e.abs() > self.bound { weight * self.bound / e.abs() } else { weight }
    }

    /// Improves the coefficients, from `start` on, in at most `steps` steps.
    pub(crate) fn fit(&self, orders: Orders, start: &Coefficients, steps: usize) -> Fitted {
        let mut row = start.row(&orders);
        let mut e = self.innovations(&orders, &Coefficients::from_row(&orders, &row));
        let mut loss = self.loss(&e);
        let mut damping = 1e-3;
        for _ in 0..steps {
            if row.is_empty() {
                break;
            }
            let Some((next, after, lower)) = self.step(&orders, &row, &e, loss, &mut damping)
            else {
                break;
            };
            let gain = loss - lower;
            (row, e, loss) = (next, after, lower);
            if gain <= 1e-5 * loss {
                break;
            }
        }
        let coefficients = Coefficients::from_row(&orders, &row);
        let count: f64 = self.weights.iter().sum();
        let squares = e.iter().zip(&self.weights).map(|(e, w)| w * e * e).sum();
        let magnitudes = e.iter().zip(&self.weights).map(|(e, w)| w * e.abs()).sum();
        Fitted {
            orders,
            coefficients,
            totals: Totals { count, squares, magnitudes, logarithms: 0.0 },
        }
    }

    /// One damped step: the next row, its innovations and their loss; none if no step lowers the loss.
    fn step(
        &self,
        orders: &Orders,
        row: &[f64],
        e: &[f64],
        loss: f64,
        damping: &mut f64,
    ) -> Option<(Vec<f64>, Vec<f64>, f64)> {
        const NUDGE: f64 = 1e-5;
        let slope = |place: usize| {
            let mut moved = row.to_vec();
            moved.iter_mut().skip(place).take(1).for_each(|c| *c += NUDGE);
            let mut column = self.innovations(orders, &Coefficients::from_row(orders, &moved));
            column.iter_mut().zip(e).for_each(|(there, here)| *there = (*there - here) / NUDGE);
            column
        };
        let columns: Vec<Vec<f64>> = (0..row.len()).map(slope).collect();
        let both = e.iter().zip(&self.weights);
        let emphasis: Vec<f64> = both.map(|(e, weight)| self.emphasis(*e, *weight)).collect();
        let dot = |a: &[f64], b: &[f64]| {
            let both = a.iter().zip(b).zip(&emphasis);
            both.map(|((a, b), weight)| a * b * weight).sum::<f64>()
        };
        let triangle: Vec<Vec<f64>> = columns
            .iter()
            .enumerate()
            .map(|(place, a)| columns.iter().take(place + 1).map(|b| dot(a, b)).collect())
            .collect();
        let target: Vec<f64> = columns.iter().map(|a| -dot(a, e)).collect();
        for _ in 0..6 {
            let mut damped = triangle.clone();
            for diagonal in damped.iter_mut().filter_map(|row| row.last_mut()) {
                *diagonal += *damping * *diagonal + 1e-12;
            }
            let step = solve(&damped, &target)?;
            let next: Vec<f64> = row.iter().zip(&step).map(|(c, s)| c + s).collect();
            let coefficients = Coefficients::from_row(orders, &next);
            if coefficients.admissible() {
                let after = self.innovations(orders, &coefficients);
                let lower = self.loss(&after);
                if lower < loss {
                    *damping *= 0.1;
                    return Some((next, after, lower));
                }
            }
            *damping *= 10.0;
        }
        None
    }
}

/// Subtracts the contributions of `values` at the lags `stride`, 2·`stride`, ….
fn lagged(out: &mut [f64], values: &[f64], coefficients: &[f64], stride: usize) {
    for (place, c) in coefficients.iter().enumerate() {
        let later = out.get_mut((place + 1) * stride..).unwrap_or_default();
        later.iter_mut().zip(values).for_each(|(out, before)| *out -= c * before);
    }
}

/// Inverts the seasonal moving average in place, one season after another: innovations within a season do not
/// depend on each other.
fn unwind_seasonal(left: &mut [f64], first: f64, more: &[f64], season: usize) {
    let count = left.len();
    for from in (season..count).step_by(season) {
        let (done, rest) = left.split_at_mut(from);
        let known = done.get(from - season..).unwrap_or_default();
        rest.iter_mut().zip(known).for_each(|(now, before)| *now -= first * before);
        for (place, c) in more.iter().enumerate() {
            let Some(known) = from.checked_sub((place + 2) * season) else { break };
            let known = done.get(known..known + season).unwrap_or_default();
            rest.iter_mut().zip(known).for_each(|(now, before)| *now -= c * before);
        }
    }
}

/// Inverts the moving average in place, one innovation after another.
fn unwind(left: &mut [f64], coefficients: &[f64]) {
    let mut c = [0.0; MOST_MA];
    c.iter_mut().zip(coefficients).for_each(|(c, given)| *c = *given);
    let [c1, c2, c3, c4, c5] = c;
    let (mut e1, mut e2, mut e3, mut e4, mut e5) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for now in left {
        let e = (*now - (c5 * e5 + c4 * e4) - (c3 * e3 + c2 * e2)) - c1 * e1;
        (e5, e4, e3, e2, e1) = (e4, e3, e2, e1, e);
        *now = e;
    }
}

impl Fitted {
    /// The corrected Akaike criterion under normal or Laplace errors, whichever are likelier, up to a constant.
    /// `freedom` is the number of parameters beside the coefficients that were estimated from the values.
    pub(crate) fn criterion(&self, freedom: f64) -> f64 {
        let k = self.orders.coefficients() as f64 + freedom + 1.0;
        let left = self.totals.count - k - 1.0;
        if left <= 0.0 {
            return f64::INFINITY;
        }
        let criterion = self.totals.deviance(Distribution::NormalOrLaplace)
            + 2.0 * k
            + 2.0 * k * (k + 1.0) / left;
        if criterion.is_nan() { f64::INFINITY } else { criterion }
    }
}
