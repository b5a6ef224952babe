//! Plugins as sandboxed WebAssembly components.
//!
//! [`Sandbox::load`] loads a plugin: a separate process parses, checks and compiles it ([`compile_worker`]);
//! then the sandbox tests it, and it becomes a [`Generation`]. Every call of a [`Function`] runs in a fresh
//! instance from a pool, with limits for fuel, memory, time and answer size. The sandbox checks every answer
//! before it returns it.

mod cache;
mod call;
mod call_outcome;
mod check;
mod compile;
mod configuration;
mod conformance;
mod contract;
mod description;
mod digest;
mod engine;
mod error;
mod function;
mod functions;
mod generation;
mod grant;
mod inspect;
mod limits;
mod linker;
mod log_line;
mod lookback;
mod meter;
mod nesting;
mod orphan;
mod output;
mod role;
mod runtime;
mod sandbox;
mod schema;
mod semaphore;
mod state;
mod text;
mod wasi;
mod work;
mod worker;

pub use call_outcome::CallOutcome;
pub use check::Broken;
pub use compile::Compiler;
pub use configuration::ConfigurationError;
pub use contract::{
    answering, failure_prediction, forecasting, market, metadata, ranking, selling, tiering, types,
};
pub use digest::Digest;
pub use error::{CallError, Cause, Diagnostics, LoadError, Refusal};
pub use function::Function;
pub use functions::{Assess, Assign, Fit, Forecast, Learn, MakeBids, Rank, Respond, replay};
pub use generation::Generation;
pub use grant::Grant;
pub use inspect::{Inspection, check_header, encode, inspect};
pub use limits::Limits;
pub use log_line::{LogLevel, LogLine};
pub use lookback::since;
pub use role::Role;
pub use sandbox::{Load, Options, Sandbox};
pub use worker::compile_worker;
