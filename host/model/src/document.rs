use serde::{Deserialize, Serialize};

use crate::{
    CalendarEvent, Dependency, Name, Provider, Quantities, ScalingPolicy, Service, Strength,
};

/// A declarative document: what a YAML file says, one a `---`.
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

/// A dependency together with its two ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DependencyDocument {
    /// The dependent.
    pub from: Name,
    /// The dependency.
    pub to: Name,
    /// How much the dependent needs the answer.
    #[serde(default)]
    pub strength: Strength,
    /// As in [`Dependency`].
    pub ratios: Quantities,
}

impl From<DependencyDocument> for Dependency {
    fn from(document: DependencyDocument) -> Self {
        Self { strength: document.strength, ratios: document.ratios }
    }
}
