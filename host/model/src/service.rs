use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Endpoint, InvalidAmount, InvalidLabel, Name, Quantities, Resource, Span, text};

/// A service that scales by replicas.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its name.
    pub name: Name,
    /// The description of one replica.
    pub replica: Replica,
    /// The bounds on the number of replicas.
    #[serde(default)]
    pub replicas: Replicas,
    /// The name of its scaling policy.
    #[serde(default = "default_policy")]
    pub policy: Name,
    /// The tier until a tiering plugin assigns another.
    #[serde(default)]
    pub tier: Tier,
    /// The service level objective.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<Objective>,
    /// The weight relative to other services.
    #[serde(default = "one")]
    pub weight: f64,
    /// The required location of its replicas; `None` means anywhere. At most 128 bytes.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "text::optional_label"
    )]
    pub location: Option<String>,
    /// The accelerator that its replicas need. At most 128 bytes.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "text::optional_label"
    )]
    pub gpu_type: Option<String>,
    /// The address of a remote service that answers proposals itself. Without it, the plugin of its scaling
    /// policy answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
}

/// One replica: its resource requests and its capacity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Replica {
    /// The resources that it takes from a provider.
    #[serde(default)]
    pub requests: Quantities,
    /// The maximum load that one replica can carry, usually in `requests_per_second`.
    pub capacity: Quantities,
    /// The time from the decision until the replica serves: at most 30 days.
    #[serde(default)]
    pub startup: Span,
}

/// Bounds on the number of replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReplicaBounds)]
pub struct Replicas {
    /// The minimum.
    #[serde(default = "one_replica")]
    pub min: u32,
    /// The maximum.
    #[serde(default = "many_replicas")]
    pub max: u32,
}

/// The tier of a service, best first.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// The highest priority.
    Gold,
    /// The default.
    #[default]
    Silver,
    /// The lowest priority; it gets the remaining capacity.
    Bronze,
}

/// A service level objective.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Objective {
    /// The required share of good requests, strictly between 0 and 1.
    pub target: f64,
    /// The evaluation period: above 0, at most 365 days.
    #[serde(default = "a_day")]
    pub window: Span,
}

/// The reasons for which a service is invalid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ServiceError {
    /// A replica has no capacity.
    #[error(
        "service {0}: replica.capacity names no amount above 0: say what one replica carries, e.g. requests_per_second: 100"
    )]
    ServesNothing(Name),
    /// The bounds are reversed or out of range.
    #[error("service {name}: replicas.min {min} and replicas.max {max}: they must be ascending and at most {most}", most = Replicas::MOST)]
    Bounds {
        /// The service.
        name: Name,
        /// The lower bound.
        min: u32,
        /// The upper bound.
        max: u32,
    },
    /// The objective cannot be met or cannot be missed.
    #[error("service {name}: objective.target is {target}: it must lie strictly between 0 and 1")]
    Target {
        /// The service.
        name: Name,
        /// The given target.
        target: f64,
    },
    /// A time span is out of range.
    #[error("service {name}: {field} is {value}: it must {rule}")]
    Time {
        /// The service.
        name: Name,
        /// The field.
        field: &'static str,
        /// The given value.
        value: Span,
        /// The violated rule.
        rule: &'static str,
    },
    /// An amount makes no sense for its resource.
    #[error("service {name}: {field}.{source}")]
    Amount {
        /// The service.
        name: Name,
        /// The field with the amounts.
        field: &'static str,
        /// The reason.
        source: InvalidAmount,
    },
    /// A text is too long or has control characters.
    #[error("service {name}: {field}: {source}")]
    Label {
        /// The service.
        name: Name,
        /// The field.
        field: &'static str,
        /// The reason.
        source: InvalidLabel,
    },
    /// The weight is invalid.
    #[error("service {name}: weight is {weight}: it must be above 0 and at most 1000000")]
    Weight {
        /// The service.
        name: Name,
        /// The given weight.
        weight: f64,
    },
}

impl Service {
    /// Validates the rules that the types do not enforce.
    ///
    /// # Errors
    /// [`ServiceError`] naming the field.
    pub fn validate(&self) -> Result<(), ServiceError> {
        let name = || self.name.clone();
        if self.replica.capacity.is_zero() {
            return Err(ServiceError::ServesNothing(name()));
        }
        let amounts = [
            ("replica.requests", &self.replica.requests),
            ("replica.capacity", &self.replica.capacity),
        ];
        for (field, amounts) in amounts {
            amounts.check_amounts().map_err(|source| ServiceError::Amount {
                name: name(),
                field,
                source,
            })?;
        }
        let Replicas { min, max } = self.replicas;
        if min > max || max > Replicas::MOST {
            return Err(ServiceError::Bounds { name: name(), min, max });
        }
        if !(self.weight > 0.0 && self.weight <= 1e6) {
            return Err(ServiceError::Weight { name: name(), weight: self.weight });
        }
        let labels = [("location", &self.location), ("gpu_type", &self.gpu_type)];
        for (field, label) in labels {
            text::check_label(label.as_deref().unwrap_or_default())
                .map_err(|source| ServiceError::Label { name: name(), field, source })?;
        }
        let wrong =
            |field, value, rule| Err(ServiceError::Time { name: name(), field, value, rule });
        if self.replica.startup > Replica::LONGEST_STARTUP {
            return wrong("replica.startup", self.replica.startup, "be at most 30d");
        }
        match self.objective {
            Some(Objective { target, .. }) if !(target > 0.0 && target < 1.0) => {
                Err(ServiceError::Target { name: name(), target })
            }
            Some(Objective { window, .. })
                if window.is_zero() || window > Objective::LONGEST_WINDOW =>
            {
                wrong("objective.window", window, "be above 0 and at most 365d")
            }
            _ => Ok(()),
        }
    }

    /// The number of replicas that carry `load`, each used up to `utilization` (0 to 1) of its capacity,
    /// within the bounds of the service.
    #[must_use]
    pub fn replicas_for(&self, load: &Quantities, utilization: f64) -> u32 {
        self.replicas_wanted(load, utilization).clamp(self.replicas.min, self.replicas.max)
    }

    /// As [`Service::replicas_for`], without the bounds. Resources without capacity are ignored.
    #[must_use]
    pub fn replicas_wanted(&self, load: &Quantities, utilization: f64) -> u32 {
        let needed = self
            .replica
            .capacity
            .iter()
            .filter(|(_, amount)| *amount > 0.0)
            // Subtracting a rounding tolerance makes 300.0000001 of 100 per replica three replicas, not
            // four.
            .map(|(resource, capacity)| {
                (load.get(resource) / (capacity * utilization) - 1e-9).ceil()
            })
            .fold(0.0, f64::max);
        if needed.is_finite() { needed.min(f64::from(u32::MAX)) as u32 } else { u32::MAX }
    }

    /// The total capacity of `replicas` replicas, at most [`Quantities::MAX`] of each resource.
    #[must_use]
    pub fn carries(&self, replicas: u32) -> Quantities {
        self.replica.capacity.scaled(f64::from(replicas))
    }

    /// The resource that measures its load: requests per second if it serves them, otherwise the first
    /// resource that it serves.
    #[must_use]
    pub fn load_resource(&self) -> Resource {
        let capacity = &self.replica.capacity;
        if capacity.get(Resource::RequestsPerSecond) > 0.0 {
            return Resource::RequestsPerSecond;
        }
        capacity
            .iter()
            .find(|(_, amount)| *amount > 0.0)
            .map_or(Resource::RequestsPerSecond, |(resource, _)| resource)
    }
}

impl Replica {
    /// The maximum startup time of a replica.
    pub const LONGEST_STARTUP: Span = Span::from_mins(30 * 24 * 60);
}

impl Objective {
    /// The maximum evaluation period of an objective.
    pub const LONGEST_WINDOW: Span = Span::from_mins(365 * 24 * 60);
}

impl Replicas {
    /// The maximum number of replicas.
    pub const MOST: u32 = 1_000_000;
}

impl Default for Replicas {
    fn default() -> Self {
        Self { min: one_replica(), max: many_replicas() }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Gold => "gold",
            Self::Silver => "silver",
            Self::Bronze => "bronze",
        })
    }
}

fn default_policy() -> Name {
    crate::ScalingPolicy::default().name
}

const fn one() -> f64 {
    1.0
}

const fn one_replica() -> u32 {
    1
}

const fn many_replicas() -> u32 {
    100
}

const fn a_day() -> Span {
    Span::from_mins(24 * 60)
}

#[cfg(test)]
mod tests {
    use super::{Objective, Replicas, Service, ServiceError};
    use crate::{Quantities, Resource, Span};

    fn service(json: &str) -> Service {
        serde_json::from_str(json).unwrap()
    }

    fn rps(amount: f64) -> Quantities {
        Quantities::of(Resource::RequestsPerSecond, amount).unwrap()
    }

    #[test]
    fn counts_replicas_within_its_bounds() {
        let shop = service(
            r#"{"name": "shop", "replica": {"capacity": {"requests_per_second": 100}}, "replicas": {"min": 2, "max": 9}}"#,
        );
        assert_eq!(shop.replicas_for(&rps(0.0), 1.0), 2);
        assert_eq!(shop.replicas_for(&rps(300.0), 1.0), 3);
        assert_eq!(shop.replicas_for(&rps(300.0), 0.75), 4);
        assert_eq!(shop.replicas_for(&rps(1e12), 1.0), 9);
        assert_eq!(shop.replicas_for(&rps(1.0), 0.0), 9);
    }

    #[test]
    fn the_largest_service_stays_in_range() {
        let mut shop = service(r#"{"name": "shop", "replica": {"capacity": {}}}"#);
        shop.replica.capacity = rps(Quantities::MAX);
        shop.replicas = Replicas { min: 1, max: Replicas::MOST };
        assert_eq!(shop.validate(), Ok(()));
        assert_eq!(shop.carries(Replicas::MOST), rps(Quantities::MAX));
        assert_eq!(shop.replicas_for(&rps(Quantities::MAX), 1e-9), Replicas::MOST);
        shop.replica.capacity = rps(f64::MIN_POSITIVE);
        assert_eq!(shop.replicas_wanted(&rps(Quantities::MAX), 1.0), u32::MAX);
    }

    #[test]
    fn says_which_field_is_wrong() {
        let mut shop = service(r#"{"name": "shop", "replica": {"capacity": {}}}"#);
        assert!(matches!(shop.validate(), Err(ServiceError::ServesNothing(_))));
        shop.replica.capacity = rps(10.0);
        assert_eq!(shop.validate(), Ok(()));
        shop.replica.startup = Span::from_mins(31 * 24 * 60);
        let error = shop.validate().unwrap_err().to_string();
        assert!(error.contains("replica.startup is 31d: it must be at most 30d"), "{error}");
        shop.replica.startup = Span::ZERO;
        shop.objective = Some(Objective { target: 0.9, window: Span::ZERO });
        assert!(matches!(
            shop.validate(),
            Err(ServiceError::Time { field: "objective.window", .. })
        ));
        shop.objective = None;
        shop.gpu_type = Some("a\n".to_owned());
        assert!(matches!(shop.validate(), Err(ServiceError::Label { field: "gpu_type", .. })));
        shop.gpu_type = None;
        shop.replica.requests = Quantities::of(Resource::GpuCount, 0.5).unwrap();
        let error = shop.validate().unwrap_err().to_string();
        assert_eq!(
            error,
            "service shop: replica.requests.gpu_count is 0.5: it must be a whole number"
        );
        shop.replica.requests = Quantities::new();
        shop.replicas.min = 101;
        assert!(matches!(shop.validate(), Err(ServiceError::Bounds { .. })));
        let typo = r#"{"name": "shop", "replica": {"capacity": {}}, "replcas": {}}"#;
        assert!(serde_json::from_str::<Service>(typo).unwrap_err().to_string().contains("replcas"));
    }
}
