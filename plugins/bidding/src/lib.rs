//! What the bidding policies share. A service accepts what it can carry and counters with what it can
//! carry of more; a provider offers the units that fit, priced by the dominant share of each; a buyer
//! ranks by utility: performance, price and the risk of an interruption, each with its weight.
//!
//! A policy is a [`Strategy`]: its name and its settings, every one of which an operator may override.

mod amounts;
mod bids;
mod configuration;
mod ranking;
mod response;
mod strategy;

pub use bids::bids;
pub use configuration::{ByTier, Configuration};
pub use ranking::{rank, utility};
pub use response::answer;
pub use strategy::{Bidding, Strategy};

#[cfg(test)]
mod tests;
