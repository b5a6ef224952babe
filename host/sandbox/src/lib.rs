//! Policies as sandboxed WebAssembly components.
//!
//! A plugin is loaded ([`Sandbox::load`]): parsed, checked, compiled aside and tried out, and becomes a
//! [`Generation`]. A [`Registry`] keeps the current generation of each plugin and swaps it atomically.
//! Every call of a [`Function`] runs in a fresh instance from a pool, with a budget of fuel, memory, time
//! and answer size; what comes back is checked before anybody sees it.

mod cache;
mod call;
mod check;
mod compile;
mod conformance;
mod contract;
mod digest;
mod engine;
mod error;
mod functions;
mod generation;
mod inspect;
mod limits;
mod lookback;
mod meter;
mod metering;
mod registry;
mod sandbox;
mod semaphore;
mod state;
mod wasi;

pub use call::Called;
pub use compile::{Compiler, compile_worker};
pub use contract::{bidding, failure_prediction, forecasting, metadata, tiering, types};
pub use digest::Digest;
pub use error::{CallError, Cause, LoadError};
pub use functions::{
    Assess, Assign, Fit, Forecast, Function, Learn, MakeBids, Rank, Respond, Role, replay,
};
pub use generation::{Generation, Grant};
pub use inspect::{Inspection, encode, inspect};
pub use limits::Limits;
pub use lookback::since;
pub use registry::{Registry, RegistryError};
pub use sandbox::{Load, Options, Sandbox};
pub use state::{LogLevel, LogLine};
