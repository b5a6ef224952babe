use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::room;
use crate::{Bid, InventoryUnit, Request};

/// A bid that the market refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RefusedBid {
    /// The bid as received.
    pub bid: Bid,
    /// The reason, so that the provider can correct the bid.
    pub reason: String,
}

/// Separates valid bids from invalid ones. A bid for more replicas than fit is admitted for the number that
/// fits.
#[must_use]
pub fn admit(
    request: &Request,
    bids: Vec<Bid>,
    inventory: &[InventoryUnit],
) -> (Vec<Bid>, Vec<RefusedBid>) {
    let mut units: BTreeMap<(&str, &str), &InventoryUnit> = BTreeMap::new();
    for unit in inventory {
        units.entry((unit.provider.as_str(), unit.unit.id.as_str())).or_insert(unit);
    }
    let mut admitted = Vec::new();
    let mut refused = Vec::new();
    for bid in bids {
        let unit = units.get(&(bid.provider.as_str(), bid.unit.as_str())).copied();
        match most(request, &bid, unit) {
            Ok(most) => admitted.push(Bid { count: bid.count.min(most), ..bid }),
            Err(reason) => refused.push(RefusedBid { bid, reason }),
        }
    }
    (admitted, refused)
}

/// The maximum number of replicas that the bid may win; at least 1.
fn most(request: &Request, bid: &Bid, unit: Option<&InventoryUnit>) -> Result<u32, String> {
    let Some(unit) = unit else {
        return Err(format!("provider {} has no unit {} on offer", bid.provider, bid.unit));
    };
    let guarantees = &bid.guarantees;
    let numbers = [
        ("price_per_hour", bid.price_per_hour, 1e9),
        ("performance", bid.performance, 1e12),
        ("guarantees.availability", guarantees.availability, 1.0),
        ("guarantees.interruption_rate", guarantees.interruption_rate, 1.0),
    ];
    for (field, value, most) in numbers {
        if !(0.0..=most).contains(&value) {
            return Err(format!("{field} is {value}: it must lie between 0 and {most}"));
        }
    }
    if bid.count == 0 {
        return Err("count is 0: bid for at least one replica, or not at all".into());
    }
    if bid.count > request.count {
        return Err(format!("count is {}: {} are asked for", bid.count, request.count));
    }
    if bid.location != unit.location {
        let (said, there) = (&bid.location, &unit.location);
        return Err(format!("location is {said:?}: unit {} is in {there:?}", bid.unit));
    }
    if request.location.as_ref().is_some_and(|wanted| *wanted != unit.location) {
        return Err(format!("the unit is in {:?}, which is not where it is wanted", unit.location));
    }
    if request.gpu_type.is_some() && request.gpu_type != unit.unit.gpu_type {
        return Err("the unit has not the accelerator that is wanted".into());
    }
    match room(unit, &request.resources).min(request.count) {
        0 => Err(format!("no replica with {} fits into what is free of it", request.resources)),
        most => Ok(most),
    }
}
