//! The host around the deciding core: it carries out the core's effects and reports the results back.
//!
//! [`Host`] is complete without a network. A *live* host reconciles by itself: the core has its own thread,
//! and the store, plugins, transports and the driver work beside it. A *stepped* host does all work
//! synchronously and in order when its owner calls it, on a clock that the owner advances.
//!
//! ```no_run
//! use haggle_runtime::{Host, HostOptions};
//!
//! # fn main() -> Result<(), haggle_runtime::HostError> {
//! let host = Host::open(HostOptions::default())?;
//! let pass = host.pass()?;
//! assert_eq!(pass.report.services, 0);
//! # Ok(()) }
//! ```

mod artefacts;
mod asking;
mod block_on;
mod callers;
mod clock;
mod error;
mod events;
mod host;
mod lanes;
mod lock;
mod metrics;
mod models;
mod observing;
mod options;
mod pass_timer;
mod persist;
mod plugins;
mod reactor;
mod restoring;
mod samples;
mod shared;
mod stepping;

pub use block_on::block_on;
pub use clock::{Clock, ManualClock, SystemClock};
pub use error::{ErrorKind, HostError};
pub use events::NumberedEvent;
pub use haggle_observe::{Accepted, FailureReport, LeftOut};
pub use host::Host;
pub use metrics::{Counts, prometheus_text};
pub use options::HostOptions;
pub use plugins::{GenerationView, LastErrorView, LoadState, LoadStatus, PluginLoad, PluginView};
pub use samples::SampleBatch;
pub use stepping::Pass;
