//! Recorded loads through competing scalers, and how well each did.
//!
//! A [`Workload`] is a set of services and the recorded load of each. [`run`] lets one [`Competitor`]
//! scale simulated replicas under it, as fast as it can be computed, and measures the outcome:
//! [`Metrics`] says what and how. [`Hpa`] is the horizontal autoscaler of Kubernetes, [`Oracle`] one
//! that knows the load ahead. Competitors see nothing of each other.
//!
//! # Limitations
//! There is no queue: what exceeds the capacity of a moment counts as over capacity, and is not
//! carried over to the next. Within a step of the recording the load is constant.

mod competitor;
mod hpa;
mod metrics;
mod observation;
mod oracle;
mod report;
mod run;
mod workload;

pub use competitor::{Competitor, CompetitorError, Negotiations};
pub use hpa::{Change, Hpa, HpaSettings, RateLimit};
pub use metrics::Metrics;
pub use observation::Observation;
pub use oracle::Oracle;
pub use report::{CompetitorReport, Report};
pub use run::{BacktestError, run};
pub use workload::{Workload, WorkloadError, default_services};
