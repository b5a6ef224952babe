use std::fmt;

use haggle_control::Input;
use haggle_model::Name;

use crate::{failures::FailureJob, forecasting::ForecastJob, tiering::TierJob};

/// The work of one panel. It may run on any thread, concurrently with other jobs; until it has run or is
/// dropped, no other job is created for the same services.
pub struct Job(Work);

enum Work {
    Forecast(ForecastJob),
    Failures(FailureJob),
    Tiers(TierJob),
}

impl Job {
    pub(crate) const fn forecast(job: ForecastJob) -> Self {
        Self(Work::Forecast(job))
    }

    pub(crate) const fn failures(job: FailureJob) -> Self {
        Self(Work::Failures(job))
    }

    pub(crate) const fn tiers(job: TierJob) -> Self {
        Self(Work::Tiers(job))
    }

    /// Returns the plugin that it calls.
    #[must_use]
    pub fn plugin(&self) -> &Name {
        match &self.0 {
            Work::Forecast(job) => job.plugin(),
            Work::Failures(job) => job.plugin(),
            Work::Tiers(job) => job.plugin(),
        }
    }

    /// Returns its services.
    #[must_use]
    pub fn services(&self) -> Vec<Name> {
        match &self.0 {
            Work::Forecast(job) => job.services(),
            Work::Failures(job) => job.services(),
            Work::Tiers(job) => job.services(),
        }
    }

    /// Calls the plugin, which may take up to the call limit. Returns the inputs for the core.
    #[must_use]
    pub fn run(self) -> Vec<Input> {
        match self.0 {
            Work::Forecast(job) => job.run(),
            Work::Failures(job) => job.run(),
            Work::Tiers(job) => job.run(),
        }
    }
}

/// The subject of the job.
impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Work::Forecast(job) => job.fmt(f),
            Work::Failures(job) => job.fmt(f),
            Work::Tiers(job) => job.fmt(f),
        }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Job({self})")
    }
}
