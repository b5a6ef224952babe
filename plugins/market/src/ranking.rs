use std::collections::BTreeMap;

use haggle_sdk::market::{Bid, Request};

use crate::Configuration;

/// Lower prices count as this one, so that a free bid has a finite utility.
const CHEAPEST: f64 = 1e-9;
/// The risk of interruptions is computed over this many hours at most: later on, the replicas are negotiated again.
const FAR_HOURS: f64 = 24.0;

/// Scores bids for the buyer: by their [`utility`], reduced for bids that add to a dependence on one provider. A
/// bid loses the configured share of its utility, times the part of the request that better bids of the same
/// provider could already cover.
#[must_use]
pub fn rank(request: &Request, bids: &[Bid], configuration: &Configuration) -> Vec<f64> {
    let mut scores: Vec<f64> =
        bids.iter().map(|bid| utility(request, bid, configuration)).collect();
    if configuration.spread <= 0.0 {
        return scores;
    }
    let mut best_first: Vec<(usize, &Bid, f64)> =
        bids.iter().zip(&scores).enumerate().map(|(i, (bid, score))| (i, bid, *score)).collect();
    best_first.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.cmp(&b.0)));
    let mut taken: BTreeMap<&str, f64> = BTreeMap::new();
    for (i, bid, score) in best_first {
        let taken = taken.entry(&bid.provider).or_default();
        let part = (*taken / f64::from(request.count.max(1))).min(1.0);
        *taken += f64::from(bid.count);
        if let Some(place) = scores.get_mut(i).filter(|_| score > 0.0) {
            *place = score * (1.0 - configuration.spread * part);
        }
    }
    scores
}

/// The utility of a bid for the buyer: performance and price to the power of their weights (a Cobb-Douglas
/// utility), divided by `e` to the power of the tier's aversion times the risk of an interruption within the window
/// that its notice does not cover. A bid that breaks a condition of the request has a utility below 0, the lower
/// the higher its price. A bid with an invalid figure has the lowest utility.
#[must_use]
pub fn utility(request: &Request, bid: &Bid, configuration: &Configuration) -> f64 {
    let price = bid.price_per_hour;
    let sensible = price.is_finite() && price >= 0.0 && (0.0..=1e12).contains(&bid.performance);
    if !sensible {
        return f64::MIN;
    }
    let elsewhere = request.location.as_ref().is_some_and(|place| *place != bid.location);
    let beyond = request.budget_per_hour.is_some_and(|budget| price > budget);
    if elsewhere || beyond || bid.count == 0 {
        return -1.0 - price.min(1e300);
    }
    let aversion = configuration.aversion.of(request.tier);
    let risk = uncovered_risk(request, bid, configuration);
    let worth = bid.performance.powf(configuration.performance_weight);
    worth / price.max(CHEAPEST).powf(configuration.price_weight) * (-aversion * risk).exp()
}

/// 0 to 1: the probability of an interruption within the window, less the part of the recovery that its
/// notice covers.
fn uncovered_risk(request: &Request, bid: &Bid, configuration: &Configuration) -> f64 {
    let window = request.window.end_ms.saturating_sub(request.window.start_ms) as f64;
    let hours = (window / 3_600_000.0).min(FAR_HOURS);
    let rate = bid.guarantees.interruption_rate;
    let rate = if rate.is_nan() { 1.0 } else { rate.clamp(0.0, 1.0) };
    let interrupted = 1.0 - (1.0 - rate).powf(hours);
    let notice_s = bid.guarantees.interruption_notice_ms as f64 / 1000.0;
    let uncovered = configuration.recovery_s / (configuration.recovery_s + notice_s);
    if uncovered.is_nan() { 0.0 } else { interrupted * uncovered }
}
