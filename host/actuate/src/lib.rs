//! Decisions out: a [`Driver`] carries out what was decided and sees what is. [`Immediate`] makes one of an
//! [`Actuator`], which acts at once: [`DryRun`] writes down what it would do; [`Simulator`] has replicas that
//! take their time to start, and that can be made to fail.
//!
//! Nothing here reads a clock: the present is an argument.

mod actuator;
mod driver;
mod dry_run;
mod fleet;
mod simulator;

pub use actuator::{ActuateError, Actuator, ReplicaStatus, ScaleOrder};
pub use driver::{Action, Driver, Immediate, Instance, Work};
pub use dry_run::DryRun;
pub use simulator::Simulator;
