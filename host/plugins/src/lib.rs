//! Decides which plugin generation answers, falls back to others, and records the calls.
//!
//! The core determines the active generations; this crate compiles them ([`Uploads`]), stores them
//! ([`Registry`]) and calls them ([`Decider`]), beside the core and without holding a lock. If a generation
//! fails to answer, the previous one and then a built-in one is called, item by item if the function supports
//! it ([`PerItem`]). A circuit breaker holds back a generation that fails repeatedly ([`Breaker`]). An
//! [`Observer`] receives events, and a [`Journal`] records repeatable calls ([`replay`]).

mod bounded_wait;
mod breaker;
mod complaints;
mod consult;
pub mod convert;
mod decider;
mod error;
mod fallback;
mod observer;
mod per_item;
mod registry;
mod replay;
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
pub use observer::{Clock, Journal, MonotonicClock, Observer};
pub use per_item::{FittedSeries, Movable, PerItem};
pub use registry::{Loaded, NotLoaded, Registry, Who};
pub use replay::{Components, Difference, ReplayReport, replay};
pub use timeliness::Timeliness;
pub use uploads::{
    Component, FindArtefact, RestoreError, Upload, UploadError, UploadPhase, UploadStatus, Uploads,
};
