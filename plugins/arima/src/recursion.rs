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

    /// The expectation of the value after these values and innovations (oldest first). Earlier ones that are not
    /// given count as 0.
    pub(crate) fn expect(&self, values: &impl Past, innovations: &impl Past) -> f64 {
        self.constant + back(&self.values, values) + back(&self.innovations, innovations)
    }
}

/// Past values or innovations, oldest first.
pub(crate) trait Past {
    /// The element `lag` steps before the next one; none if that is too far back.
    fn before(&self, lag: usize) -> Option<f64>;
}

impl Past for VecDeque<f64> {
    fn before(&self, lag: usize) -> Option<f64> {
        self.len().checked_sub(lag).and_then(|place| self.get(place)).copied()
    }
}

impl Past for Vec<f64> {
    fn before(&self, lag: usize) -> Option<f64> {
        self.len().checked_sub(lag).and_then(|place| self.get(place)).copied()
    }
}

fn back(lags: &Lags, past: &impl Past) -> f64 {
    lags.0.iter().map(|(lag, c)| past.before(*lag).map_or(0.0, |value| c * value)).sum()
}
