//! Which plugin decides: the generations, who stands in for whom, and what is kept of the calls.
//!
//! The core says which generations decide; this crate has them compiled ([`Uploads`]), keeps them
//! ([`Registry`]) and calls them ([`Decider`]), beside the core and with no lock held. What a generation
//! fails to answer goes to the one before it and then to a built-in one, item by item where a function
//! answers so ([`PerItem`]); a generation that fails again and again is not asked for a while ([`Breaker`]).
//! An [`Observer`] is told, and a [`Journal`] keeps what can be repeated ([`replay`]).

mod breaker;
mod complaints;
mod consult;
pub mod convert;
mod decider;
mod error;
mod fallback;
mod items;
mod observer;
mod registry;
mod replay;
mod timed;
mod timeliness;
mod uploads;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use breaker::{Breaker, Ticket, Verdict};
pub use complaints::{LastError, cut};
pub use consult::{Consulted, context};
pub use decider::{Decided, Decider};
pub use error::Unanswered;
pub use items::{FittedSeries, Movable, PerItem};
pub use observer::{Clock, Journal, MonotonicClock, Observer};
pub use registry::{Loaded, NotLoaded, Registry, Who};
pub use replay::{Components, Difference, ReplayReport, replay};
pub use timeliness::Timeliness;
pub use uploads::{
    Component, FindArtefact, RestoreError, Upload, UploadError, UploadPhase, UploadStatus, Uploads,
};
