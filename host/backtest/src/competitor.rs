use haggle_actuate::ScaleOrder;
use haggle_model::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Observation;

/// The error of a competitor.
pub type CompetitorError = Box<dyn std::error::Error + Send + Sync>;

/// A scaler under test.
pub trait Competitor {
    /// The key in the report.
    fn name(&self) -> &str;

    /// The interval between two decisions. The first decision is at the start of the recording, before any
    /// observation.
    fn interval(&self) -> Span;

    /// Decides. `services` has one observation per service, sorted by name. The returned orders are carried
    /// out at once. Each order must have a higher sequence number than the one before.
    ///
    /// # Errors
    /// Any error that prevents a decision; it ends the run.
    fn step(
        &mut self,
        now: Timestamp,
        services: &[Observation<'_>],
    ) -> Result<Vec<ScaleOrder>, CompetitorError>;

    /// The results of its negotiations, if it negotiates. The run calls this at its end.
    fn negotiations(&self) -> Option<Negotiations> {
        None
    }
}

/// The number of negotiations by result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Negotiations {
    /// The full demand was agreed.
    pub approved: u64,
    /// A part of the demand was agreed.
    pub reduced: u64,
    /// Nothing was agreed.
    pub denied: u64,
}
