//! The dynamic optimised theta model.
//!
//! The series is cleared of up to two seasons, in amounts or in proportion, as the corrected Akaike
//! criterion chooses; what is left is a level that follows recent values and a line through all of them.
//! Which seasons, how quickly level and profiles follow, and how far the line goes on is chosen by what would
//! have forecast the past best over the horizon. A fit is some hundred passes over the history for each set
//! of seasons; a forecast with a fitted model takes in what is new and no more. Each module says its sources.
//!
//! Limits: seasons must fit into the history twice; events are not learnt from.

mod adjustment;
mod line;
mod method;
mod model;
mod rolling;

pub use adjustment::Adjustment;
pub use line::{Line, Parameters};
pub use method::DynamicTheta;
pub use model::Model;

/// The plugin.
pub type Theta = haggle_forecasting::Univariate<DynamicTheta>;

#[cfg(feature = "component")]
haggle_sdk::export!(Theta: forecasting);

#[cfg(test)]
mod tests;
