//! The built-in plugin for negotiations. A service accepts what it can carry, and counters with what it can
//! carry of more. A provider offers the units that fit, priced by the dominant share of each. A buyer ranks
//! bids by utility: performance, price and the risk of an interruption, each with its weight.
//!
//! The host loads it several times, with a configuration for each way to negotiate.

mod amounts;
mod answer;
mod bids;
mod configuration;
mod plugin;
mod ranking;

pub use answer::answer;
pub use bids::bids;
pub use configuration::{ByTier, Configuration};
pub use plugin::Market;
pub use ranking::{rank, utility};

#[cfg(test)]
mod tests;

haggle_sdk::export!(Market: answering, selling, ranking);
