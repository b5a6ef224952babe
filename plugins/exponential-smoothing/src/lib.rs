//! The ETS family of exponential smoothing with automatic choice.
//!
//! The family has additive and multiplicative errors and seasons, damped trends, up to two seasons and, as in BATS,
//! errors that fade. The corrected Akaike criterion, under normal or Laplace errors, chooses the form and the
//! seasons. If the history has enough periods, forecasts of the past over the horizon choose among the best forms.
//! A fit takes some thousand passes over the history. A forecast with a fitted model processes only the new values.
//! Each module names its sources.
//!
//! Limits: no multiplicative trend; seasons must fit into the history twice; calendar events are ignored.

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
