use std::fmt;

use serde::{Deserialize, Serialize};

/// A role of a component. Each role is an interface in `wit/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Forecasts demand.
    Forecasting,
    /// Predicts failures.
    FailurePrediction,
    /// Answers inquiries about a service.
    Answering,
    /// Bids for a provider.
    Selling,
    /// Ranks bids for a buyer.
    Ranking,
    /// Assigns tiers.
    Tiering,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 6] = [
        Self::Forecasting,
        Self::FailurePrediction,
        Self::Answering,
        Self::Selling,
        Self::Ranking,
        Self::Tiering,
    ];

    /// Returns the name of the interface in `wit/`.
    #[must_use]
    pub const fn interface(self) -> &'static str {
        match self {
            Self::Forecasting => "forecasting",
            Self::FailurePrediction => "failure-prediction",
            Self::Answering => "answering",
            Self::Selling => "selling",
            Self::Ranking => "ranking",
            Self::Tiering => "tiering",
        }
    }

    pub(crate) fn list() -> String {
        Self::ALL.map(|role| format!("haggle:plugin/{}@0.2.0", role.interface())).join(", ")
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.interface())
    }
}
