//! Write plugins for Haggle in Rust.
//!
//! A plugin is a type without state. It implements [`Plugin`] (its description) and one trait for each of its
//! roles: [`Forecasting`], [`FailurePrediction`], [`Answering`], [`Selling`], [`Ranking`], [`Tiering`]. One line
//! exports it. Haggle loads the file that `cargo build` makes of a `cdylib` for `wasm32-unknown-unknown`. Compiled
//! natively, the same code runs in ordinary unit tests.
//!
//! ```
//! use haggle_sdk::{
//!     Fault, Forecasting, Plugin,
//!     forecasting::{Bounds, Interval, Outlook, Task},
//!     metadata::Description,
//!     types::{CalendarEvent, Context},
//! };
//!
//! /// Expects the last value to stay, and to be off by a tenth at most.
//! struct Steady;
//!
//! impl Plugin for Steady {
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
//! impl Forecasting for Steady {
//!     fn forecast(
//!         _: &Context,
//!         _: Option<&[u8]>,
//!         tasks: &[Task],
//!         _: &[CalendarEvent],
//!     ) -> Vec<Result<Outlook, Fault>> {
//!         tasks.iter().map(outlook).collect()
//!     }
//! }
//!
//! fn outlook(task: &Task) -> Result<Outlook, Fault> {
//!     let last = task.series.values.iter().rev().find(|value| !value.is_nan());
//!     let last = *last.ok_or_else(|| Fault::InsufficientData("one value is needed".into()))?;
//!     let steps = task.horizon_steps as usize;
//!     let bounds = Bounds { lower: last - 0.1 * last.abs(), upper: last + 0.1 * last.abs() };
//!     let interval = |&level: &f64| Interval { level, bounds: vec![bounds; steps] };
//!     let intervals = task.levels.iter().map(interval).collect();
//!     Ok(Outlook { mean: vec![last; steps], intervals, confidence: 0.3 })
//! }
//!
//! haggle_sdk::export!(Steady: forecasting);
//! # fn main() {
//! # let context = Context { now_ms: 0, seed: 0, configuration: "{}".into() };
//! # let series = haggle_sdk::types::Series {
//! #     id: "web".into(), last_at_ms: 60_000, step_ms: 60_000, values: vec![10.0, f64::NAN],
//! #     non_negative: true,
//! # };
//! # let task = Task {
//! #     series, model: None, horizon_steps: 2, seasons_steps: vec![], levels: vec![0.8],
//! # };
//! # let outlooks = Steady::forecast(&context, None, &[task], &[]);
//! # assert_eq!(outlooks[0].as_ref().unwrap().intervals[0].bounds[1].upper, 11.0);
//! # }
//! ```
//!
//! The types mirror the WIT one to one, and their documentation states the rules of the contract. Above all, every
//! call is pure: a plugin knows nothing but its arguments, and leaves nothing but its result. A global does not
//! survive the call. Time and randomness come from [`types::Context`].

/// The allocator of the standard library, in a version that first uses the component's initial memory: the host
/// takes longer to grow the memory than for many a call.
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
mod series;

/// The code in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use export::Exported;
pub use roles::{
    Answering, FailurePrediction, Forecasting, Plugin, Ranking, Selling, Tiering, answering,
    failure_prediction, forecasting, market, metadata, selling, tiering, types,
};
pub use types::Fault;
