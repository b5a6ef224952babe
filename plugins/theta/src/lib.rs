//! The dynamic optimised theta model.
//!
//! Up to two seasons are removed from the series, as amounts or as factors, whichever the corrected Akaike
//! criterion prefers. The rest is described by a level that follows recent values and by a line through all of
//! them. The seasons, the gains of level and profiles, and the share of the line's slope in the forecast are those
//! that would have forecast the past best over the horizon. A fit takes some hundred passes over the history for
//! each set of seasons. A forecast with a fitted model processes only the new values. Each module names its
//! sources.
//!
//! Limits: seasons must fit into the history twice; calendar events are ignored.

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
