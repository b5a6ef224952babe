//! Assigns service tiers by objectives, forecasts and weights, and shares of the capacity in proportion to forecast
//! demand, gold first.

mod configuration;
mod decision;
mod plugin;
mod shares;

pub use configuration::Configuration;
pub use decision::{Decision, decide, urgency};
pub use plugin::SloTiers;
pub use shares::shares;

haggle_sdk::export!(SloTiers: tiering);

#[cfg(test)]
mod tests;
