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

mod applying;
mod calendar;
mod catalog;
mod clock;
mod committing;
mod complaints;
mod convert;
mod counterparties;
mod courier;
mod decider;
mod documents;
mod error;
mod events;
mod exchange;
mod facts;
mod failures;
mod forecasting;
mod generations;
mod giving_up;
mod host;
mod metrics;
mod models;
mod negotiating;
mod outlooks;
mod persistence;
mod plugins;
mod reclaiming;
mod replay;
mod reserving;
mod restore;
mod scaling;
mod serving;
mod state;
#[cfg(test)]
mod testing;
mod tiering;
mod turn;
mod views;

pub mod api;

pub use clock::{Clock, ManualClock, SystemClock};
pub use convert::events_within;
pub use courier::Courier;
pub use error::{ErrorKind, HostError};
pub use events::{Event, EventKind};
pub use host::{Host, HostOptions};
pub use plugins::PluginLoad;
pub use replay::{Difference, ReplayReport, replay};
pub use scaling::{ScalingError, ScalingTicket};
pub use views::{
    Accepted, FailureReport, ForecastView, ForecastsView, GenerationView, GraphView, LoadState,
    LoadStatus, PluginSettings, PluginView, PoolForecast, Put, ReclaimRequest, Reclaimed,
    SampleBatch, ScalingProgress, ScalingRequest, ScalingVerdict, ScalingWindow, ServiceView,
    TurnReport, Verdict, WindowVerdict,
};
