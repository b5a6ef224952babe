use haggle_actuate::ScaleOrder;
use haggle_model::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Observation;

/// Whatever a competitor fails with.
pub type CompetitorError = Box<dyn std::error::Error + Send + Sync>;

/// Something that scales services.
pub trait Competitor {
    /// Its key in the report.
    fn name(&self) -> &str;

    /// How often it decides; the first time is at the start of the recording, when nothing has been
    /// observed yet.
    fn interval(&self) -> Span;

    /// Decides. There is one observation for each service, in the order of their names, and what it
    /// returns is carried out at once. Each order needs a higher sequence number than the one before.
    ///
    /// # Errors
    /// Whatever keeps it from deciding; the run ends then.
    fn step(
        &mut self,
        now: Timestamp,
        services: &[Observation<'_>],
    ) -> Result<Vec<ScaleOrder>, CompetitorError>;

    /// How its negotiations went, where it negotiates; asked for after the run.
    fn negotiations(&self) -> Option<Negotiations> {
        None
    }
}

/// How negotiations ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Negotiations {
    /// The whole of what was wanted was agreed to.
    pub won: u64,
    /// A part of it was.
    pub reduced: u64,
    /// Nothing was.
    pub failed: u64,
}
