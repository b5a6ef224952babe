//! The default forecaster: weighs others for every series by how well they would have forecast its past.
//!
//! A fit goes from the cheap to the dear. Looks at the last values and seasonal smoothing are tried on every
//! series; gradient boosting, which learns across the panel, too; a network, ARIMA and exponential smoothing
//! only where a season explains the series; decomposition only where events fall into its history. All of
//! them forecast the last part of the history from up to a hundred origins, knowing (as far as they learn
//! much) only the first; those errors choose the weights ([`select`]) and, cross-validated, are the intervals
//! ([`haggle_forecasting::Spread`]) and the confidence ([`haggle_forecasting::confidence`]). Only members
//! with a weight are kept, so that a forecast costs no more than they do.
//!
//! What comes after the fit weighs the members anew, value by value ([`Weighed`]): one that does worse than it
//! did counts less. Intervals widen where forecasts turn out worse than they were.
//!
//! Limits: a member that the fit left out comes back with the next fit only. Beyond the horizon of the fit, errors are taken to grow as those of a random walk.

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
