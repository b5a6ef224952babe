use haggle_sdk::{tiering::ServiceState, types::Tier};

/// Loads above this many times the capacity count as this many, so that sums stay finite.
const MOST: f64 = 1e9;

/// Shares of the capacity, 0 to 1: one for each service, in their order; together at most 1.
///
/// Every service first gets `floor`, as far as it needs it, so that none starves. Then gold gets what it may need
/// (the upper bound of its forecast), after it silver (the middle between mean and upper bound), after it bronze
/// (the mean). If a tier needs more than is left, its services divide the rest in proportion to their needs.
/// Capacity that no service needs is not assigned.
#[must_use]
pub fn shares(services: &[ServiceState], tiers: &[Tier], floor: f64) -> Vec<f64> {
    let needs: Vec<f64> =
        services.iter().zip(tiers).map(|(service, tier)| need(service, *tier)).collect();
    let floor = floor.min(1.0 / services.len().max(1) as f64);
    let mut shares: Vec<f64> = needs.iter().map(|need| need.min(floor)).collect();
    for turn in [Tier::Gold, Tier::Silver, Tier::Bronze] {
        let left = (1.0 - shares.iter().sum::<f64>()).max(0.0);
        let open = |(tier, (need, share)): (&Tier, (&f64, &f64))| {
            if *tier == turn { need - share } else { 0.0 }
        };
        let open: Vec<f64> = tiers.iter().zip(needs.iter().zip(&shares)).map(open).collect();
        let wanted: f64 = open.iter().sum();
        let part = if wanted > left { left / wanted } else { 1.0 };
        shares.iter_mut().zip(open).for_each(|(share, open)| *share += open * part);
    }
    // Sums of fractions may exceed 1 by a rounding error, and the contract says at most 1.
    while shares.iter().sum::<f64>() > 1.0 {
        shares.iter_mut().for_each(|share| *share *= 1.0 - 4.0 * f64::EPSILON);
    }
    shares
}

fn need(service: &ServiceState, tier: Tier) -> f64 {
    let mean = service.forecast_mean.min(MOST);
    let upper = service.forecast_upper.clamp(mean, MOST);
    match tier {
        Tier::Gold => upper,
        Tier::Silver => f64::midpoint(mean, upper),
        Tier::Bronze => mean,
    }
}
