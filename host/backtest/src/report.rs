use std::collections::BTreeMap;

use haggle_model::Name;
use serde::{Deserialize, Serialize};

use crate::{Metrics, Negotiations};

/// The results of all competitors, by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Report {
    /// The report of each competitor.
    pub competitors: BTreeMap<String, CompetitorReport>,
}

/// The results of one competitor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CompetitorReport {
    /// The metrics of all services together.
    #[serde(flatten)]
    pub total: Metrics,
    /// The results of its negotiations, if it negotiates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negotiations: Option<Negotiations>,
    /// The metrics of each service.
    pub services: BTreeMap<Name, Metrics>,
}
