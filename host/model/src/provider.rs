use serde::{Deserialize, Serialize};

use crate::{Endpoint, InvalidAmount, InvalidLabel, Name, Quantities, Resource, Span, text};

/// A provider of compute units: a cloud, a cluster, a rack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Its name.
    pub name: Name,
    /// The location: at most 128 bytes.
    #[serde(default, deserialize_with = "text::label")]
    pub location: String,
    /// The plugin with the selling role that bids for the provider.
    #[serde(default = "crate::policy::market")]
    pub selling: Name,
    /// The address of a remote provider that bids itself, instead of a plugin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// The compute units.
    pub units: Vec<ComputeUnit>,
}

/// A kind of machine, and the number of machines of that kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ComputeUnit {
    /// The id, unique within the provider.
    pub id: Name,
    /// The number of machines.
    #[serde(default = "one_unit")]
    pub count: u32,
    /// The resources of one machine.
    pub resources: Quantities,
    /// The kind of its accelerators: at most 128 bytes.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "text::optional_label"
    )]
    pub gpu_type: Option<String>,
    /// The price of one machine per hour.
    pub cost_per_hour: f64,
    /// The speed relative to a reference unit, which has 1.
    #[serde(default = "one")]
    pub performance: f64,
    /// The probability that one machine is taken back within an hour, 0 to 1.
    #[serde(default)]
    pub interruption_rate: f64,
    /// The notice before a machine is taken back: at most 365 days.
    #[serde(default)]
    pub interruption_notice: Span,
}

/// The reasons for which a provider is invalid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ProviderError {
    /// The provider has too many units.
    #[error(
        "provider {provider} has {units} units: describe at most {most}, units that are alike as one with a count",
        most = Provider::MOST_UNITS
    )]
    TooManyUnits {
        /// The provider.
        provider: Name,
        /// The number of units.
        units: usize,
    },
    /// Two compute units have the same id.
    #[error("provider {provider}: two units have the id {unit}: rename one")]
    DuplicateUnit {
        /// The provider.
        provider: Name,
        /// The duplicate id.
        unit: Name,
    },
    /// A number is out of range.
    #[error("provider {provider}, unit {unit}: {field} is {value}: it must lie {range}")]
    Range {
        /// The provider.
        provider: Name,
        /// The id of the unit.
        unit: Name,
        /// The field.
        field: &'static str,
        /// The given value.
        value: f64,
        /// The valid range, in words.
        range: &'static str,
    },
    /// An amount makes no sense for its resource.
    #[error("provider {provider}, unit {unit}: resources.{source}")]
    Amount {
        /// The provider.
        provider: Name,
        /// The id of the unit.
        unit: Name,
        /// The reason.
        source: InvalidAmount,
    },
    /// The interruption notice is too long.
    #[error("provider {provider}, unit {unit}: interruption_notice is {notice}: it must be at most {most}", most = ComputeUnit::LONGEST_NOTICE)]
    Notice {
        /// The provider.
        provider: Name,
        /// The id of the unit.
        unit: Name,
        /// The given notice.
        notice: Span,
    },
    /// A text is too long or has control characters.
    #[error("provider {provider}: {field}: {source}")]
    Label {
        /// The provider.
        provider: Name,
        /// The field.
        field: &'static str,
        /// The reason.
        source: InvalidLabel,
    },
    /// A unit has no resources.
    #[error(
        "provider {provider}, unit {unit}: `resources` names no amount above 0: say what one unit has, e.g. cpu_cores: 4"
    )]
    EmptyUnit {
        /// The provider.
        provider: Name,
        /// The id of the unit.
        unit: Name,
    },
}

impl Provider {
    /// The maximum number of units of a provider.
    pub const MOST_UNITS: usize = 1000;

    /// Validates the rules that the types do not enforce.
    ///
    /// # Errors
    /// [`ProviderError`] naming the unit and the field.
    pub fn validate(&self) -> Result<(), ProviderError> {
        self.check_label("location", &self.location)?;
        if self.units.len() > Self::MOST_UNITS {
            let (provider, units) = (self.name.clone(), self.units.len());
            return Err(ProviderError::TooManyUnits { provider, units });
        }
        for (i, unit) in self.units.iter().enumerate() {
            if self.units.iter().take(i).any(|earlier| earlier.id == unit.id) {
                return Err(ProviderError::DuplicateUnit {
                    provider: self.name.clone(),
                    unit: unit.id.clone(),
                });
            }
            self.validate_unit(unit)?;
        }
        Ok(())
    }

    /// The compute unit with that id.
    #[must_use]
    pub fn unit(&self, id: &str) -> Option<&ComputeUnit> {
        self.units.iter().find(|unit| unit.id.as_str() == id)
    }

    fn check_label(&self, field: &'static str, label: &str) -> Result<(), ProviderError> {
        text::check_label(label).map_err(|source| ProviderError::Label {
            provider: self.name.clone(),
            field,
            source,
        })
    }

    fn validate_unit(&self, unit: &ComputeUnit) -> Result<(), ProviderError> {
        self.check_label("units.gpu_type", unit.gpu_type.as_deref().unwrap_or_default())?;
        if unit.interruption_notice > ComputeUnit::LONGEST_NOTICE {
            return Err(ProviderError::Notice {
                provider: self.name.clone(),
                unit: unit.id.clone(),
                notice: unit.interruption_notice,
            });
        }
        if unit.resources.is_zero() {
            return Err(ProviderError::EmptyUnit {
                provider: self.name.clone(),
                unit: unit.id.clone(),
            });
        }
        unit.resources.check_amounts().map_err(|source| ProviderError::Amount {
            provider: self.name.clone(),
            unit: unit.id.clone(),
            source,
        })?;
        let fields = [
            ("count", f64::from(unit.count), 0.0, 1e6, "between 0 and 1000000"),
            ("cost_per_hour", unit.cost_per_hour, 0.0, 1e9, "between 0 and 1e9"),
            ("performance", unit.performance, 1e-6, 1e6, "between 1e-6 and 1e6"),
            ("interruption_rate", unit.interruption_rate, 0.0, 1.0, "between 0 and 1"),
        ];
        for (field, value, least, most, range) in fields {
            if !(value >= least && value <= most) {
                return Err(ProviderError::Range {
                    provider: self.name.clone(),
                    unit: unit.id.clone(),
                    field,
                    value,
                    range,
                });
            }
        }
        Ok(())
    }
}

impl ComputeUnit {
    /// The maximum interruption notice.
    pub const LONGEST_NOTICE: Span = Span::from_mins(365 * 24 * 60);

    /// The total resources of all machines.
    #[must_use]
    pub fn total(&self) -> Quantities {
        self.resources.scaled(f64::from(self.count))
    }

    /// The number of replicas that fit into one machine.
    #[must_use]
    pub fn fits(&self, replica: &Quantities) -> u32 {
        let fits = replica
            .iter()
            .filter(|(_, amount)| *amount > 0.0)
            .map(|(resource, amount)| (self.resources.get(resource) / amount + 1e-9).floor())
            .fold(f64::INFINITY, f64::min);
        if fits.is_finite() { fits.min(f64::from(u32::MAX)) as u32 } else { u32::MAX }
    }

    /// The largest share of one machine's resources that a replica takes.
    #[must_use]
    pub fn dominant_share(&self, replica: &Quantities) -> f64 {
        Resource::ALL
            .iter()
            .filter(|resource| replica.get(**resource) > 0.0)
            .map(|resource| replica.get(*resource) / self.resources.get(*resource))
            .fold(0.0, f64::max)
    }
}

const fn one() -> f64 {
    1.0
}

const fn one_unit() -> u32 {
    1
}

#[cfg(test)]
mod tests {
    use super::{Provider, ProviderError};
    use crate::Span;

    #[test]
    fn says_which_unit_and_field_is_wrong() {
        let json = r#"{"name": "alder", "units": [{"id": "m", "resources": {"cpu_cores": 4}, "cost_per_hour": 0.2}]}"#;
        let mut alder: Provider = serde_json::from_str(json).unwrap();
        assert_eq!(alder.validate(), Ok(()));
        let unit = alder.units[0].clone();
        alder.units.push(unit);
        assert!(matches!(alder.validate(), Err(ProviderError::DuplicateUnit { .. })));
        alder.units.resize(Provider::MOST_UNITS + 1, alder.units[0].clone());
        assert!(matches!(alder.validate(), Err(ProviderError::TooManyUnits { units: 1001, .. })));
        alder.units.truncate(1);
        alder.units[0].resources = serde_json::from_str(r#"{"memory_bytes": "512m"}"#).unwrap();
        let error = alder.validate().unwrap_err().to_string();
        assert!(error.contains("unit m: resources.memory_bytes is 0.512"), "{error}");
        alder.units[0].resources = serde_json::from_str(r#"{"cpu_cores": 4}"#).unwrap();
        alder.units[0].cost_per_hour = f64::NAN;
        assert!(matches!(
            alder.validate(),
            Err(ProviderError::Range { field: "cost_per_hour", .. })
        ));
        alder.units[0].cost_per_hour = 1.0;
        alder.units[0].interruption_notice = Span::from_mins(366 * 24 * 60);
        let error = alder.validate().unwrap_err().to_string();
        assert!(error.contains("interruption_notice is 366d: it must be at most 365d"), "{error}");
        alder.units[0].interruption_notice = Span::ZERO;
        alder.location = "x".repeat(129);
        assert!(alder.validate().unwrap_err().to_string().contains("alder: location"));
    }
}
