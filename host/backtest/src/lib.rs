//! Runs recorded loads through competing scalers and measures each.
//!
//! A [`Workload`] is a set of services with a recorded load each. [`run`] lets one [`Competitor`] scale
//! simulated replicas under it, as fast as the computation allows, and measures the result; see
//! [`Metrics`]. [`Hpa`] is the horizontal autoscaler of Kubernetes. [`Oracle`] knows the future load.
//! Competitors do not affect each other.
//!
//! # Limitations
//! There is no queue: load that exceeds the capacity of a moment counts as over capacity and is not carried
//! over to the next moment. Within a step of the recording the load is constant.

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
