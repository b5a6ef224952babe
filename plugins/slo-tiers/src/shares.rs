use haggle_sdk::{tiering::ApiState, types::Tier};

/// Loads above this many pools are taken for this many, so that sums stay finite.
const MOST: f64 = 1e9;

/// Shares of a pool, one for each API, in their order; together at most 1.
///
/// Every API is given `floor` first, as far as it needs it, so that none starves. Then gold is given what
/// it may need (the upper bound of its forecast), after it silver (the middle between mean and upper
/// bound), after it bronze (the mean). Where a tier needs more than is left, what is left is divided in
/// proportion to its needs. What nobody needs is nobody's own: it stays for all to share.
#[must_use]
pub fn shares(apis: &[ApiState], tiers: &[Tier], floor: f64) -> Vec<f64> {
    let needs: Vec<f64> = apis.iter().zip(tiers).map(|(api, tier)| need(api, *tier)).collect();
    let floor = floor.min(1.0 / apis.len().max(1) as f64);
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

fn need(api: &ApiState, tier: Tier) -> f64 {
    let mean = api.forecast_mean.min(MOST);
    let upper = api.forecast_upper.clamp(mean, MOST);
    match tier {
        Tier::Gold => upper,
        Tier::Silver => f64::midpoint(mean, upper),
        Tier::Bronze => mean,
    }
}
