//! Fixed-point amounts. Sums of floating-point numbers depend on their order, so a ledger that adds and
//! removes them for weeks would drift. Whole steps do not drift.

use haggle_model::{Quantities, Resource};

/// The number of steps in one unit of the resource: thousandths where fractions are usual, whole bytes and
/// bits.
const fn per_unit(resource: Resource) -> f64 {
    match resource {
        Resource::MemoryBytes | Resource::NetworkBitsPerSecond | Resource::StorageBytes => 1.0,
        Resource::CpuCores
        | Resource::GpuCount
        | Resource::DiskIops
        | Resource::RequestsPerSecond => 1000.0,
    }
}

/// Converts a demand to steps, rounded up, so that bookings never fall short of the request.
pub(crate) fn up(resource: Resource, amount: f64) -> i128 {
    steps(amount * per_unit(resource), f64::ceil)
}

/// Converts a capacity to steps, rounded down, so that the ledger never promises more than exists.
pub(crate) fn down(resource: Resource, amount: f64) -> i128 {
    steps(amount * per_unit(resource), f64::floor)
}

/// Converts steps to an amount.
pub(crate) fn amount(resource: Resource, steps: i128) -> f64 {
    steps as f64 / per_unit(resource)
}

/// Whether both book the same steps. Missing resources count as 0.
pub(crate) fn same(a: &Quantities, b: &Quantities) -> bool {
    Resource::ALL.iter().all(|r| up(*r, a.get(*r)) == up(*r, b.get(*r)))
}

/// Converts steps to amounts by resource; negative steps count as 0.
pub(crate) fn quantities(all: impl IntoIterator<Item = (Resource, i128)>) -> Quantities {
    let pairs = all.into_iter().map(|(r, n)| (r, amount(r, n).clamp(0.0, Quantities::MAX)));
    Quantities::from_pairs(pairs).unwrap_or_default()
}

fn steps(value: f64, round: fn(f64) -> f64) -> i128 {
    let nearest = value.round();
    // 0.1 * 3.0 is slightly above 0.3. That is a rounding error, not demand.
    let hair = 1e-9 * value.abs().max(1.0);
    if (value - nearest).abs() <= hair { nearest as i128 } else { round(value) as i128 }
}

#[cfg(test)]
mod tests {
    use super::{down, same, up};
    use haggle_model::{Quantities, Resource};

    #[test]
    fn demands_round_up_and_capacities_down() {
        assert_eq!(up(Resource::CpuCores, 0.0001), 1);
        assert_eq!(down(Resource::CpuCores, 0.9999), 999);
        assert_eq!(up(Resource::MemoryBytes, 1.5), 2);
        assert_eq!(up(Resource::CpuCores, 0.1 * 3.0), 300);
        assert_eq!(up(Resource::RequestsPerSecond, Quantities::MAX), 1_000_000_000_000_000_000);
    }

    #[test]
    fn nothing_and_zero_are_the_same() {
        let zero = Quantities::of(Resource::CpuCores, 0.0).unwrap();
        assert!(same(&zero, &Quantities::new()));
        assert!(!same(&Quantities::of(Resource::CpuCores, 0.1).unwrap(), &zero));
    }
}
