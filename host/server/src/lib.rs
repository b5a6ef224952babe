//! The host: the control loop and everything around it. [`Host`] is complete without a network; [`api`]
//! puts it on HTTP.
//!
//! ```no_run
//! use haggle_server::{Host, HostOptions};
//!
//! # fn main() -> Result<(), haggle_server::HostError> {
//! let host = Host::open(HostOptions::default())?;
//! let report = host.turn()?;
//! assert!(report.services == 0);
//! # Ok(()) }
//! ```

mod clock;
mod convert;
mod documents;
mod error;
mod events;
mod host;
mod metrics;
mod negotiating;
mod persistence;
mod plugins;
mod replay;
mod scaling;
mod state;
#[cfg(test)]
mod testing;
mod turn;
mod views;

pub mod api;

pub use clock::{Clock, ManualClock, SystemClock};
pub use convert::events_within;
pub use error::{ErrorKind, HostError};
pub use events::{Event, EventKind};
pub use host::{Host, HostOptions};
pub use negotiating::courier::Courier;
pub use plugins::PluginLoad;
pub use replay::{Difference, ReplayReport, replay};
pub use scaling::{ScalingError, ScalingTicket};
pub use views::{
    Accepted, FailureReport, ForecastView, ForecastsView, GenerationView, GraphView, LoadState,
    LoadStatus, PluginSettings, PluginView, PoolForecast, Put, ReclaimRequest, Reclaimed,
    SampleBatch, ScalingProgress, ScalingRequest, ScalingVerdict, ScalingWindow, ServiceView,
    TurnReport, Verdict, WindowVerdict,
};
