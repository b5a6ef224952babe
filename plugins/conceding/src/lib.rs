//! Bidding with concessions: a service withholds a part of what it could promise at first, in case less
//! is enough, and concedes it from round to round; a provider asks for a margin.

use haggle_bidding::{Bidding, Configuration, Strategy};

/// The strategy: half is withheld in the first round, nothing in the third.
#[derive(Debug)]
pub struct Conceding;

impl Strategy for Conceding {
    const NAME: &str = "conceding";
    const SUMMARY: &str = "Withholds half of what it could promise in the first round and concedes the rest by the third; bids with a margin of a tenth and ranks by performance per price.";

    fn defaults() -> Configuration {
        Configuration { withhold: 0.5, margin: 0.1, ..Configuration::default() }
    }
}

haggle_sdk::export_bidder!(Bidding<Conceding>);
