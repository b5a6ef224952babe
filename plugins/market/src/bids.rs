use haggle_sdk::{
    market::{Bid, Guarantees, Request},
    selling::ComputeUnit,
    types::ResourceKind,
};

use crate::Configuration;

/// Bids with every compute unit of the inventory that has the requested location and accelerator and is large
/// enough for a replica. A replica pays for its dominant share: the largest share it takes of any one resource of
/// the unit (Ghodsi et al., "Dominant Resource Fairness", 2011), because nobody else can use that share. The
/// replicas that a unit has room for are divided into lots, so that a buyer who spreads over providers can take a
/// part of them. The cheapest bids come first.
///
/// Load (`requests_per_second`) is not a resource of a machine and does not decide whether it fits; a unit has none
/// of any other resource that it does not name.
#[must_use]
pub fn bids(
    request: &Request,
    inventory: &[ComputeUnit],
    configuration: &Configuration,
) -> Vec<Bid> {
    let whole = inventory.iter().filter_map(|unit| bid(request, unit, configuration));
    let mut bids: Vec<Bid> = whole.flat_map(|bid| divided(bid, configuration.lots)).collect();
    bids.sort_by(|a, b| {
        a.price_per_hour.total_cmp(&b.price_per_hour).then_with(|| a.unit.cmp(&b.unit))
    });
    bids
}

fn bid(request: &Request, unit: &ComputeUnit, configuration: &Configuration) -> Option<Bid> {
    let elsewhere = request.location.as_ref().is_some_and(|place| *place != unit.location);
    let other_gpu =
        request.gpu_type.as_ref().is_some_and(|gpu| unit.gpu_type.as_ref() != Some(gpu));
    if elsewhere || other_gpu {
        return None;
    }
    let fit = fit(request, unit)?;
    let count = fit.free.min(unit.count.saturating_mul(fit.each)).min(request.count);
    let price = unit.cost_per_hour * fit.share * (1.0 + configuration.margin);
    let affordable = request.budget_per_hour.is_none_or(|budget| price <= budget);
    if count == 0 || !(price.is_finite() && price >= 0.0) || !affordable {
        return None;
    }
    Some(Bid {
        unit: unit.id.clone(),
        provider: unit.provider.clone(),
        location: unit.location.clone(),
        count,
        price_per_hour: price,
        performance: unit.performance,
        guarantees: Guarantees {
            availability: availability(unit, configuration)?,
            interruption_rate: unit.interruption_rate,
            interruption_notice_ms: unit.interruption_notice_ms,
        },
    })
}

/// Divides an offer into parts that are as even as whole replicas allow.
fn divided(bid: Bid, lots: f64) -> impl Iterator<Item = Bid> {
    let lots = (lots as u32).clamp(1, bid.count.max(1));
    (0..lots).map(move |lot| {
        let more = u32::from(lot < bid.count % lots);
        Bid { count: bid.count / lots + more, ..bid.clone() }
    })
}

/// How replicas fit on a compute unit.
struct Fit {
    /// The largest share of any one resource that a replica takes of a unit, 0 to 1.
    share: f64,
    /// How many fit on one.
    each: u32,
    /// How many fit into the free resources.
    free: u32,
}

/// None if not even one replica fits on a unit.
fn fit(request: &Request, unit: &ComputeUnit) -> Option<Fit> {
    let mut fit = Fit { share: 0.0, each: u32::MAX, free: u32::MAX };
    for requested in &request.resources {
        if requested.kind == ResourceKind::RequestsPerSecond || requested.amount <= 0.0 {
            continue;
        }
        let resource = unit.resources.iter().find(|resource| resource.kind == requested.kind)?;
        let share = requested.amount / resource.amount;
        // This also refuses a unit that has none of the resource, or whose amount is not a number.
        if !(0.0..=1.0).contains(&share) {
            return None;
        }
        fit.share = fit.share.max(share);
        fit.each = fit.each.min(whole(resource.amount, requested.amount));
        fit.free = fit.free.min(whole(resource.free, requested.amount));
    }
    Some(fit)
}

/// How many times `part` fits into `all`. The product is at most `all` in floating point too, because reservations
/// are counted that way.
fn whole(all: f64, part: f64) -> u32 {
    // The cast saturates, and turns NaN into 0.
    let times = (all / part).floor() as u32;
    let fits = |times: u32| f64::from(times) * part <= all;
    match times.checked_add(1) {
        Some(more) if fits(more) => more,
        _ if fits(times) => times,
        _ => times.saturating_sub(1),
    }
}

/// The expected share of time that a unit is up: an interruption costs the part of the recovery that the notice
/// does not cover. None if the unit's interruption rate is not a probability.
fn availability(unit: &ComputeUnit, configuration: &Configuration) -> Option<f64> {
    if !(0.0..=1.0).contains(&unit.interruption_rate) {
        return None;
    }
    let outage_s =
        (configuration.recovery_s - unit.interruption_notice_ms as f64 / 1000.0).max(0.0);
    Some((1.0 - unit.interruption_rate * outage_s / 3600.0).clamp(0.0, 1.0))
}
