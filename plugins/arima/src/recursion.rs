use std::collections::VecDeque;

use crate::orders::{Coefficients, Lags, Orders};

/// y_t = constant + Σ a_i y_(t−i) + e_t + Σ b_j e_(t−j).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Recursion {
    pub(crate) constant: f64,
    pub(crate) values: Lags,
    pub(crate) innovations: Lags,
}

impl Recursion {
    pub(crate) fn of(orders: &Orders, c: &Coefficients) -> Self {
        let (stationary, whole) = Lags::autoregressive(orders, c);
        let negated = whole.0.into_iter().map(|(lag, c)| (lag, -c)).collect();
        Self {
            constant: c.mean * stationary.sum(),
            values: Lags(negated),
            innovations: Lags::moving_average(orders, c),
        }
    }

    /// What is expected after these values and innovations, oldest first; what they lack counts as 0.
    pub(crate) fn expect(&self, values: &VecDeque<f64>, innovations: &VecDeque<f64>) -> f64 {
        let back = |lags: &Lags, past: &VecDeque<f64>| -> f64 {
            let term = |(lag, c): &(usize, f64)| {
                past.len()
                    .checked_sub(*lag)
                    .and_then(|place| past.get(place))
                    .map_or(0.0, |v| c * v)
            };
            lags.0.iter().map(term).sum()
        };
        self.constant + back(&self.values, values) + back(&self.innovations, innovations)
    }
}
