//! Write policies for Haggle in Rust.
//!
//! A policy is a type without state that implements [`Policy`] (who it is) and one trait per role that
//! it plays ([`Forecaster`], [`FailurePredictor`], [`Bidder`], [`Tierer`]), and one line that exports
//! it. Compiled for `wasm32-unknown-unknown` as a `cdylib`, the file that `cargo build` makes is what
//! Haggle loads; compiled natively, the same code runs in ordinary unit tests.
//!
//! ```
//! use haggle_sdk::{
//!     Fault, Forecaster, Policy,
//!     forecasting::{Interval, Outlook, Task},
//!     metadata::Description,
//!     types::{Context, Event},
//! };
//!
//! /// Expects the last value to stay, and to be off by a tenth at most.
//! struct Steady;
//!
//! impl Policy for Steady {
//!     fn describe() -> Description {
//!         Description {
//!             name: "steady".into(),
//!             version: env!("CARGO_PKG_VERSION").into(),
//!             summary: "Expects the last value to stay.".into(),
//!             configuration_schema: "{}".into(),
//!         }
//!     }
//! }
//!
//! impl Forecaster for Steady {
//!     fn forecast(
//!         _: &Context,
//!         _: Option<&[u8]>,
//!         tasks: &[Task],
//!         _: &[Event],
//!     ) -> Vec<Result<Outlook, Fault>> {
//!         tasks.iter().map(outlook).collect()
//!     }
//! }
//!
//! fn outlook(task: &Task) -> Result<Outlook, Fault> {
//!     let last = task.series.values.iter().rev().find(|value| !value.is_nan());
//!     let last = *last.ok_or_else(|| Fault::InsufficientData("one value is needed".into()))?;
//!     let steps = |value| vec![value; task.horizon as usize];
//!     let interval = |&level: &f64| Interval {
//!         level,
//!         lower: steps(last - 0.1 * last.abs()),
//!         upper: steps(last + 0.1 * last.abs()),
//!     };
//!     let intervals = task.levels.iter().map(interval).collect();
//!     Ok(Outlook { mean: steps(last), intervals, confidence: 0.3 })
//! }
//!
//! haggle_sdk::export_forecaster!(Steady);
//! # fn main() {
//! # let context = Context { now: 0, seed: 0, configuration: "{}".into() };
//! # let series = haggle_sdk::types::Series {
//! #     id: "web".into(), start: 0, step: 60_000, values: vec![10.0, f64::NAN], non_negative: true,
//! # };
//! # let task = Task { series, model: None, horizon: 2, levels: vec![0.8] };
//! # let outlooks = Steady::forecast(&context, None, &[task], &[]);
//! # assert_eq!(outlooks[0].as_ref().unwrap().intervals[0].upper, [11.0, 11.0]);
//! # }
//! ```
//!
//! The rules of the contract are written at the types, which mirror the WIT one to one. Above all: every
//! call is pure. Arguments are all that a policy knows, results all that it leaves behind; a global is
//! gone with the call, and time and randomness come from [`types::Context`].

/// The standard library's own, of a version that begins with the memory that the component has from its
/// start: to grow it takes the host longer than many a call.
#[cfg(all(target_arch = "wasm32", feature = "allocator"))]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[doc(hidden)]
pub mod bindings;
#[cfg(feature = "config")]
pub mod configuration;
mod export;
pub mod log;
mod roles;

pub use export::Exported;
pub use roles::{
    Bidder, FailurePredictor, Forecaster, Policy, Tierer, bidding, failure_prediction, forecasting,
    metadata, tiering, types,
};
pub use types::Fault;
