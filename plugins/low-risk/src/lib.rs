//! Bidding for continuity: units that are not taken back come first, the replicas of a service are spread
//! over providers, and a service keeps more in reserve. What it costs matters last.

use haggle_bidding::{Bidding, ByTier, Configuration, Strategy};

/// The strategy: interruptions and dependence on one provider count most.
#[derive(Debug)]
pub struct LowRisk;

impl Strategy for LowRisk {
    const NAME: &str = "low-risk";
    const SUMMARY: &str = "Keeps more in reserve, ranks by the risk of interruption before price and performance, and spreads replicas over providers.";

    fn defaults() -> Configuration {
        Configuration {
            reserve: ByTier { gold: 0.05, silver: 0.1, bronze: 0.2 },
            performance_weight: 0.25,
            price_weight: 0.25,
            aversion: ByTier { gold: 16.0, silver: 12.0, bronze: 8.0 },
            spread: 0.9,
            ..Configuration::default()
        }
    }
}

haggle_sdk::export_bidder!(Bidding<LowRisk>);
