//! Seasonal exponential smoothing with prediction intervals.
//!
//! For every series it chooses among level, damped trend, what fades, and up to two seasons by how well
//! the past would have been forecast over the horizon, and takes its intervals from how far off those
//! forecasts were. A fit is some hundred passes over the history; a forecast with a fitted model takes in
//! what is new and no more. Each module says its sources.
//!
//! Limits: seasons must fit into the history twice; events are not learnt from.

mod filter;
mod initial;
mod search;
mod smoothing;
mod trial;

pub use filter::{Parameters, Reach, Season, State, deviations};
pub use initial::{initial, warm_up};
pub use search::{Choice, search};
pub use smoothing::Smoothing;
pub use trial::{Trial, anchors, run};

/// The plugin.
pub type SeasonalSmoothing = haggle_forecasting::Univariate<Smoothing>;

#[cfg(feature = "component")]
haggle_sdk::export!(SeasonalSmoothing: forecasting);

#[cfg(test)]
mod tests;
