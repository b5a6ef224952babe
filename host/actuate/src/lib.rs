//! Decisions out: whoever carries out what was decided is an [`Actuator`]. [`DryRun`] writes down what
//! it would do; [`Simulator`] has replicas that take their time to start, and that can be made to fail.
//!
//! Nothing here reads a clock: the present is an argument.

mod actuator;
mod dry_run;
mod fleet;
mod simulator;

pub use actuator::{ActuateError, Actuator, ReplicaStatus, ScaleOrder};
pub use dry_run::DryRun;
pub use simulator::Simulator;
