use std::collections::BTreeMap;

use haggle_model::Name;
use serde::{Deserialize, Serialize};

use crate::{Metrics, Negotiations};

/// How the competitors did, by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Report {
    /// One report for each.
    pub competitors: BTreeMap<String, CompetitorReport>,
}

/// How one competitor did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CompetitorReport {
    /// All services together.
    #[serde(flatten)]
    pub total: Metrics,
    /// How its negotiations went, where it negotiates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negotiations: Option<Negotiations>,
    /// Each service.
    pub services: BTreeMap<Name, Metrics>,
}
