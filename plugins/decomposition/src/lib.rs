//! Decomposition into a trend that changes its slope, several seasons, the weekend and the effects of events
//! (campaigns, backups, releases: what is known ahead and was seen before), as one regression; what it
//! leaves is followed by a level, a deviation that fades and a profile that returns with a season.

mod basis;
mod decomposition;
mod regression;
mod remainder;

pub use basis::{Block, CHANGES, Span};
pub use decomposition::Decomposition;
pub use regression::Regression;
pub use remainder::{Remainder, Shares};

/// The plugin.
pub type DecompositionPlugin = haggle_forecasting::Univariate<Decomposition>;

#[cfg(feature = "component")]
haggle_sdk::export!(DecompositionPlugin: forecasting);

#[cfg(test)]
mod tests;
