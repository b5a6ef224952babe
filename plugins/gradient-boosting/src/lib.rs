//! Global gradient boosting: trees over lags, levels and calendar that learn across all series of a panel.
//!
//! What a series looks like is brought to a common form ([`Frame`], features relative to a base forecast in
//! units of the usual change), so that one forest serves the whole panel. It is kept once as the shared
//! model; a series' own model is its frame, its last values and how far off its forecasts were.

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
