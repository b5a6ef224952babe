//! The ETS family of exponential smoothing with automatic choice.
//!
//! Additive and multiplicative errors and seasons, damped trend, up to two seasons, and, as in BATS, errors
//! that fade. The corrected Akaike criterion of normal or Laplace errors chooses among the forms and the
//! seasons; where seasons were seen often enough, forecasts of the past over the horizon decide between
//! its best. A fit is some thousand passes over the history; a forecast with a fitted model takes in what
//! is new and no more. Each module says its sources.
//!
//! Limits: no multiplicative trend; seasons must fit into the history twice; events are not learnt from.

mod decompose;
mod filter;
mod fit;
mod form;
mod initial;
mod method;
mod model;
mod moments;
mod refine;
mod search;
mod simplex;

pub use decompose::{Profile, decompose, line, trend};
pub use filter::{Distribution, Parameters, Season, State, Totals, run};
pub use form::{Error, Form, Seasonal, Trend};
pub use method::Ets;
pub use model::{FitError, Model};
pub use moments::{Moments, means, variances};
pub use refine::solve;
pub use simplex::{Lowest, Search, minimise};

/// The plugin.
pub type ExponentialSmoothing = haggle_forecasting::Univariate<Ets>;

#[cfg(feature = "component")]
haggle_sdk::export!(ExponentialSmoothing: forecasting);

#[cfg(test)]
mod tests;
