use std::fmt;

use haggle_control::Input;
use haggle_model::Name;

use crate::{failures::FailureJob, forecasting::ForecastJob, tiering::TierJob};

/// The work of one panel. It may run on any thread, beside other jobs; until it has run or is dropped, no
/// other job is made of the same services.
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

    /// The plugin that it calls.
    #[must_use]
    pub fn plugin(&self) -> &Name {
        match &self.0 {
            Work::Forecast(job) => job.plugin(),
            Work::Failures(job) => job.plugin(),
            Work::Tiers(job) => job.plugin(),
        }
    }

    /// The services that it is about.
    #[must_use]
    pub fn services(&self) -> Vec<Name> {
        match &self.0 {
            Work::Forecast(job) => job.services(),
            Work::Failures(job) => job.services(),
            Work::Tiers(job) => job.services(),
        }
    }

    /// Calls the plugin, which may take as long as a call may take. Returns what the core is to be told.
    #[must_use]
    pub fn run(self) -> Vec<Input> {
        match self.0 {
            Work::Forecast(job) => job.run(),
            Work::Failures(job) => job.run(),
            Work::Tiers(job) => job.run(),
        }
    }
}

/// What the job is about.
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
