//! Bidding for the lowest bill: price alone decides, and a risk is the buyer's own.

use haggle_bidding::{Bidding, ByTier, Configuration, Strategy};

/// The strategy: performance and interruptions do not count.
#[derive(Debug)]
pub struct Cheapest;

impl Strategy for Cheapest {
    const NAME: &str = "cheapest";
    const SUMMARY: &str = "Accepts what capacity and dependencies can carry, counters with less, bids at cost and ranks by price alone.";

    fn defaults() -> Configuration {
        Configuration {
            performance_weight: 0.0,
            aversion: ByTier::all(0.0),
            ..Configuration::default()
        }
    }
}

haggle_sdk::export_bidder!(Bidding<Cheapest>);
