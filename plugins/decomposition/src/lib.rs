//! Decomposes a series, in one regression, into a trend that changes its slope, several seasons, the weekend and
//! the effects of calendar events (campaigns, backups, releases) that are known ahead and have occurred before. The
//! residuals are modelled by a level, a deviation that fades and a profile that repeats with a season.

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
