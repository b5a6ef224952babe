mod text;

use std::fmt;

use crate::Resource;

/// Amounts by resource. Every amount is finite, not negative and at most [`Quantities::MAX`]. In text, an
/// amount is a number, optionally with a suffix in Kubernetes notation: `500m`, `2k`, `512Mi`, `4G`.
#[derive(Clone, Default, PartialEq)]
pub struct Quantities {
    /// The amounts in the order of the resources; 0 for a resource that is not named.
    amounts: [f64; Resource::ALL.len()],
    /// A bit for each named resource.
    named: u8,
}

/// The reasons for which a number or text is not an amount.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidQuantity {
    /// The text is not a number with an optional suffix.
    #[error(
        "{0:?} is not an amount: use a number, with m, k, M, G, T, Ki, Mi, Gi or Ti behind it if you like"
    )]
    Text(String),
    /// The number begins with a zero that another reader takes as octal.
    #[error("{text:?} is not an amount: write {plain}, without the zero in front")]
    Padded {
        /// The text.
        text: String,
        /// The same amount without the zero.
        plain: String,
    },
    /// The number is negative, not finite or too large.
    #[error("{0} is not an amount: it must lie between 0 and {max:e}", max = Quantities::MAX)]
    Range(f64),
}

impl Quantities {
    /// The maximum amount, in any unit.
    pub const MAX: f64 = 1e15;

    /// Creates an empty set of amounts.
    #[must_use]
    pub const fn new() -> Self {
        Self { amounts: [0.0; Resource::ALL.len()], named: 0 }
    }

    /// Creates a single amount.
    ///
    /// # Errors
    /// [`InvalidQuantity::Range`] if the amount is invalid.
    pub fn of(resource: Resource, amount: f64) -> Result<Self, InvalidQuantity> {
        let mut all = Self::new();
        all.set(resource, amount)?;
        Ok(all)
    }

    /// Creates several amounts. If a resource comes twice, the last amount counts.
    ///
    /// # Errors
    /// [`InvalidQuantity::Range`] if an amount is invalid.
    pub fn from_pairs(
        pairs: impl IntoIterator<Item = (Resource, f64)>,
    ) -> Result<Self, InvalidQuantity> {
        let mut all = Self::new();
        for (resource, amount) in pairs {
            all.set(resource, amount)?;
        }
        Ok(all)
    }

    /// The amount of a resource; 0 if it is not named.
    #[must_use]
    pub fn get(&self, resource: Resource) -> f64 {
        self.amounts.get(resource as usize).copied().unwrap_or(0.0)
    }

    /// Whether the resource is named, even with the amount 0.
    #[must_use]
    pub fn names(&self, resource: Resource) -> bool {
        self.named & bit(resource) != 0
    }

    /// Sets one amount.
    ///
    /// # Errors
    /// [`InvalidQuantity::Range`] if the amount is invalid.
    pub fn set(&mut self, resource: Resource, amount: f64) -> Result<(), InvalidQuantity> {
        if (0.0..=Self::MAX).contains(&amount) {
            self.put(resource, amount);
            Ok(())
        } else {
            Err(InvalidQuantity::Range(amount))
        }
    }

    /// The named amounts in the order of the resources.
    pub fn iter(&self) -> impl Iterator<Item = (Resource, f64)> + '_ {
        Resource::ALL.into_iter().zip(self.amounts).filter(|(resource, _)| self.names(*resource))
    }

    /// Whether no resource is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.named == 0
    }

    /// Whether no amount is above 0.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.amounts.iter().all(|amount| *amount == 0.0)
    }

    /// Multiplies each amount by `factor`. Results are limited to the range of an amount.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        self.map(|_, amount| amount * factor)
    }

    /// The sum by resource. Results are limited to the range of an amount.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        self.merged(other, |a, b| a + b)
    }

    /// The maximum by resource.
    #[must_use]
    pub fn max(&self, other: &Self) -> Self {
        self.merged(other, f64::max)
    }

    /// The difference by resource named in `self`, at least 0.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.map(|resource, amount| amount - other.get(resource))
    }

    /// Whether `self` covers each amount named in `need`, within rounding (one part in 10⁹).
    #[must_use]
    pub fn covers(&self, need: &Self) -> bool {
        need.iter().all(|(resource, amount)| self.get(resource) >= amount * (1.0 - 1e-9))
    }

    /// The largest share of `need`, between 0 and 1, that `self` covers.
    #[must_use]
    pub fn share_of(&self, need: &Self) -> f64 {
        need.iter()
            .filter(|(_, amount)| *amount > 0.0)
            .map(|(resource, amount)| self.get(resource) / amount)
            .fold(1.0, f64::min)
    }

    fn put(&mut self, resource: Resource, amount: f64) {
        if let Some(place) = self.amounts.get_mut(resource as usize) {
            *place = amount;
            self.named |= bit(resource);
        }
    }

    fn map(&self, f: impl Fn(Resource, f64) -> f64) -> Self {
        let mut all = Self::new();
        self.iter().for_each(|(r, amount)| all.put(r, into_range(f(r, amount))));
        all
    }

    fn merged(&self, other: &Self, f: impl Fn(f64, f64) -> f64) -> Self {
        let mut all = self.clone();
        for (resource, amount) in other.iter() {
            all.put(resource, into_range(f(self.get(resource), amount)));
        }
        all
    }
}

const fn bit(resource: Resource) -> u8 {
    1 << resource as u8
}

fn into_range(amount: f64) -> f64 {
    if amount.is_nan() { 0.0 } else { amount.clamp(0.0, Quantities::MAX) }
}

impl fmt::Display for Quantities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing");
        }
        for (i, (resource, amount)) in self.iter().enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            let rounded = (amount * 1000.0).round() / 1000.0;
            write!(f, "{separator}{rounded} {resource}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Quantities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::Quantities;
    use crate::Resource;

    #[test]
    fn reads_numbers_and_suffixes() {
        let text = r#"{"cpu_cores": "500m", "memory-bytes": "512Mi", "requests_per_second": 2e3}"#;
        let all: Quantities = serde_json::from_str(text).unwrap();
        assert_eq!(all.get(Resource::CpuCores), 0.5);
        assert_eq!(all.get(Resource::MemoryBytes), 536_870_912.0);
        assert_eq!(all.get(Resource::RequestsPerSecond), 2000.0);
    }

    #[test]
    fn refuses_what_is_no_amount() {
        for bad in [
            "-1",
            "\"-1\"",
            "\"1x\"",
            "\"\"",
            "\"NaN\"",
            "1e300",
            "null",
            "\"inf\"",
            "\"010\"",
            "\"0x10\"",
            "\"1_000\"",
            "\"007Mi\"",
        ] {
            let text = format!(r#"{{"cpu_cores": {bad}}}"#);
            assert!(serde_json::from_str::<Quantities>(&text).is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<Quantities>(r#"{"cores": 1}"#).is_err());
    }

    #[test]
    fn zero_is_named_and_nothing_is_not() {
        let zero: Quantities = serde_json::from_str(r#"{"disk_iops": 0, "gpu_count": 2}"#).unwrap();
        assert!(zero.names(Resource::DiskIops) && !zero.names(Resource::CpuCores));
        assert_eq!(serde_json::to_string(&zero).unwrap(), r#"{"gpu_count":2.0,"disk_iops":0.0}"#);
        let rest = zero.minus(&zero);
        assert!(rest.is_zero() && !rest.is_empty() && Quantities::new().is_empty());
        assert_ne!(rest, Quantities::new());
        assert_eq!(rest.plus(&zero), zero);
        for (place, resource) in Resource::ALL.into_iter().enumerate() {
            assert_eq!(place, resource as usize);
        }
    }

    #[test]
    fn arithmetic_stays_in_range() {
        let most = Quantities::of(Resource::DiskIops, Quantities::MAX).unwrap();
        assert_eq!(most.plus(&most), most);
        assert!(most.scaled(f64::NAN).is_zero());
        assert!(most.minus(&most).is_zero());
        assert!((most.share_of(&most.scaled(2.0)) - 1.0).abs() < 1e-12);
    }
}
