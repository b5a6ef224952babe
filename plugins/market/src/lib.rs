//! The built-in plugin for negotiations. A service accepts a request that it can carry, and answers a larger one
//! with a counter-offer of what it can carry. A provider offers the units that fit, and prices a replica by its
//! dominant share. A buyer ranks bids by utility: performance, price and the risk of an interruption, each with its
//! weight.
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
