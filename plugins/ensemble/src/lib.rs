//! The default forecaster: weighs others for every series by how well they would have forecast its past.
//!
//! A fit tries the cheap members first. Simple forecasts, seasonal smoothing and gradient boosting, which learns
//! across the panel, are tried on every series. An echo state network, ARIMA and exponential smoothing are tried
//! only if a season explains the series, and decomposition only if calendar events fall into its history. Every
//! member forecasts the last part of the history from up to a hundred origins. Members with much to learn know only
//! the first part for that. The errors determine the weights ([`select`]). Cross-validated, they also give the
//! intervals ([`haggle_forecasting::Spread`]) and the confidence ([`haggle_forecasting::confidence`]). Members
//! without a weight are dropped, so that a forecast costs no more than the others.
//!
//! After the fit, every new value updates the weights ([`Weighed`]): a member whose errors grow counts less.
//! Intervals widen if the forecasts become worse.
//!
//! Limits: a member that a fit dropped can return only with the next fit. Beyond the horizon of the fit, errors are
//! assumed to grow like those of a random walk.

mod bytes;
mod fit;
mod member;
mod model;
mod plugin;
mod pool;
mod selection;
mod simple;
mod weights;

pub use fit::{FittedPanel, fit};
pub use member::Member;
pub use model::Model;
pub use plugin::Ensemble;
pub use pool::Pool;
pub use selection::select;
pub use simple::Simple;
pub use weights::{Weighed, weigh};

#[cfg(feature = "component")]
haggle_sdk::export!(Ensemble: forecasting);

#[cfg(test)]
mod tests;
