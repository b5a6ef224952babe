//! Output of decisions: a [`Driver`] carries out decisions and observes replicas. [`Immediate`] is a driver
//! over an [`Actuator`], which acts at once: [`DryRun`] logs what it would do; [`Simulator`] has replicas
//! that take time to start and can be made to fail.
//!
//! Nothing here reads a clock: the current time is an argument.

mod actuator;
mod driver;
mod dry_run;
mod fleet;
mod simulator;

pub use actuator::{ActuateError, Actuator, ReplicaStatus, ScaleOrder};
pub use driver::{Action, Driver, Immediate, Instance, Work};
pub use dry_run::DryRun;
pub use simulator::Simulator;
