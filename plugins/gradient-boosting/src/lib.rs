//! Global gradient boosting: trees over lags, levels and calendar that learn across all series of a panel.
//!
//! Each series is converted to a common form ([`Frame`], features relative to a base forecast in units of the usual
//! change), so that one forest serves the whole panel. The forest is written once, as the shared model. A series'
//! own model contains its frame, its last values and the errors of its past forecasts.

mod boost;
mod boosted;
mod features;
mod histogram;
mod plugin;
mod table;
mod tree;

pub use boost::{Training, train};
pub use boosted::{Boosted, Lesson, MOST_ROWS};
pub use features::{Frame, Origin, WIDTH};
pub use plugin::GradientBoosting;
pub use table::{BINS, Table};
pub use tree::{DEPTH, Forest, Split, Tree};

#[cfg(feature = "component")]
haggle_sdk::export!(GradientBoosting: forecasting);

#[cfg(test)]
mod tests;
