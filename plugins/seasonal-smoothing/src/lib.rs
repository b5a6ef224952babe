//! Seasonal exponential smoothing with prediction intervals.
//!
//! For every series, the plugin chooses among a level, a damped trend, a transient and up to two seasons, by how
//! well each choice would have forecast the past over the horizon. The intervals come from the errors of those
//! forecasts. A fit takes some hundred passes over the history. A forecast with a fitted model processes only the
//! new values. Each module names its sources.
//!
//! Limits: seasons must fit into the history twice; calendar events are ignored.

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
