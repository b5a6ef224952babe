//! Pure functions that compute the need of a service under its policy. The inputs are the forecast, the
//! risk and recent needs; the output is a number of replicas with a reason. This crate does not negotiate.

mod accuracy;
mod outlook;
mod summary;
mod target;
mod tiers;
mod total;

pub use accuracy::Accuracy;
pub use outlook::{Interval, Outlook};
pub use summary::{Band, Summary};
pub use target::{Recent, Snapshot, Target, target};
pub use tiers::{Compliance, Pool, PoolMember};
pub use total::total;
