use serde::{Deserialize, Serialize};

use crate::{
    CalendarEvent, Dependency, Name, Provider, Quantities, ScalingPolicy, Service, Strength,
};

/// A declarative document; a YAML file contains documents separated by `---`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Document {
    /// A service.
    Service(Service),
    /// A dependency of one service on another.
    Dependency(DependencyDocument),
    /// A provider.
    Provider(Provider),
    /// A scaling policy.
    Policy(Box<ScalingPolicy>),
    /// An event.
    Event(CalendarEvent),
}

/// A dependency with its two services.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DependencyDocument {
    /// The dependent.
    pub from: Name,
    /// The dependency.
    pub to: Name,
    /// The strength of the dependency.
    #[serde(default)]
    pub strength: Strength,
    /// The ratios; see [`Dependency`].
    pub ratios: Quantities,
}

impl From<DependencyDocument> for Dependency {
    fn from(document: DependencyDocument) -> Self {
        Self { strength: document.strength, ratios: document.ratios }
    }
}
