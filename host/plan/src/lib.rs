//! From what policies say to what a service needs, as pure functions: forecast, risk and recent needs go
//! in, a number of replicas with its reason comes out. Nobody is asked here and nothing is agreed.

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
