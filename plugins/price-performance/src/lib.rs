//! Bidding by price and performance: a replica that is twice as fast may cost twice as much, and what may
//! be taken back has to be cheaper for it.

use haggle_bidding::{Bidding, Configuration, Strategy};

/// The strategy: the usual settings.
#[derive(Debug)]
pub struct PricePerformance;

impl Strategy for PricePerformance {
    const NAME: &str = "price-performance";
    const SUMMARY: &str = "Accepts what capacity and dependencies can carry, counters with less, bids by the dominant share and ranks by performance per price and risk of interruption.";

    fn defaults() -> Configuration {
        Configuration::default()
    }
}

haggle_sdk::export_bidder!(Bidding<PricePerformance>);
