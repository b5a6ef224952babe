//! Which amounts make sense for a resource.

use std::fmt;

use crate::{Quantities, Resource};

/// An amount that a resource cannot have.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{resource} is {amount}: {advice}")]
pub struct InvalidAmount {
    /// The resource.
    pub resource: Resource,
    /// The amount.
    pub amount: f64,
    /// What to write instead.
    pub advice: Advice,
}

/// What to write instead of an amount that makes no sense.
#[derive(Debug, Clone, PartialEq)]
pub enum Advice {
    /// A part of a byte or bit: the suffix `m` was meant as mega or mebi. Holds the number before the suffix.
    Bytes(f64),
    /// A part of an accelerator.
    Whole,
    /// More than any machine has.
    TooMuch {
        /// The maximum.
        most: f64,
        /// Examples of usual amounts.
        such_as: &'static str,
    },
}

/// Below this many bytes, a fraction is a mistake; above, it is the rounding of a suffix (0.1Gi).
const ROUNDED_FROM: f64 = 1024.0;

/// The maximum number of cores and of accelerators that one machine or replica can have.
const MOST_CORES: f64 = 1e6;

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(number) => write!(f, "`m` is a thousandth: {number}M or {number}Mi?"),
            Self::Whole => f.write_str("it must be a whole number"),
            Self::TooMuch { most, such_as } => {
                write!(f, "it must be at most {most}, such as {such_as}")
            }
        }
    }
}

impl Quantities {
    /// Checks what one replica requests or one machine has: bytes and accelerators are whole, and nothing
    /// has more than a million cores or accelerators.
    ///
    /// # Errors
    /// [`InvalidAmount`] for the first resource with an amount that makes no sense.
    pub fn check_amounts(&self) -> Result<(), InvalidAmount> {
        for (resource, amount) in self.iter() {
            let advice = match resource {
                Resource::MemoryBytes | Resource::StorageBytes | Resource::NetworkBitsPerSecond
                    if amount.fract() != 0.0 && amount < ROUNDED_FROM =>
                {
                    Advice::Bytes((amount * 1e6).round() / 1e3)
                }
                Resource::GpuCount if amount.fract() != 0.0 => Advice::Whole,
                Resource::CpuCores if amount > MOST_CORES => {
                    Advice::TooMuch { most: MOST_CORES, such_as: "4 or 500m" }
                }
                Resource::GpuCount if amount > MOST_CORES => {
                    Advice::TooMuch { most: MOST_CORES, such_as: "1 or 8" }
                }
                _ => continue,
            };
            return Err(InvalidAmount { resource, amount, advice });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::Quantities;

    fn check(json: &str) -> Result<(), String> {
        let amounts: Quantities = serde_json::from_str(json).unwrap();
        amounts.check_amounts().map_err(|error| error.to_string())
    }

    #[test]
    fn a_part_of_a_byte_or_accelerator_is_refused() {
        for (json, says) in [
            (
                r#"{"memory_bytes": "512m"}"#,
                "memory_bytes is 0.512: `m` is a thousandth: 512M or 512Mi?",
            ),
            (
                r#"{"storage_bytes": "1536m"}"#,
                "storage_bytes is 1.536: `m` is a thousandth: 1536M or 1536Mi?",
            ),
            (r#"{"network_bits_per_second": "100m"}"#, "100M or 100Mi?"),
            (r#"{"gpu_count": "500m"}"#, "gpu_count is 0.5: it must be a whole number"),
            (r#"{"gpu_count": 1.5}"#, "a whole number"),
            (r#"{"cpu_cores": "512Mi"}"#, "cpu_cores is 536870912: it must be at most 1000000"),
            (r#"{"gpu_count": "16Gi"}"#, "it must be at most 1000000"),
        ] {
            let error = check(json).unwrap_err();
            assert!(error.contains(says), "{json}: {error}");
        }
        for json in [
            r#"{"memory_bytes": "0.1Gi", "cpu_cores": "10m", "gpu_count": 0, "disk_iops": "500m"}"#,
            r#"{"memory_bytes": 512, "requests_per_second": 0.01, "gpu_count": 8}"#,
        ] {
            assert_eq!(check(json), Ok(()), "{json}");
        }
    }
}
