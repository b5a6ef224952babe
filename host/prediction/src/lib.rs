//! When to fit, forecast, learn, assess and assign tiers: what is asked of plugins in every pass.
//!
//! [`Prediction`] holds what the host has learnt: models, how good forecasts were, lessons about failures.
//! From a snapshot of the core's state it makes [`Job`]s, each of which does the work of one panel and can
//! run on any thread, beside the core and beside one another. What a job finds out goes back to the core as
//! [`Input`](haggle_control::Input)s. A job whose predecessor still runs is not started: a slow plugin
//! delays only the services that it decides for.

mod concerns;
mod due;
mod failures;
mod fitting;
mod forecasting;
mod history;
mod inner;
mod job;
mod keeping;
mod lessons;
mod memory;
mod models;
mod periods;
mod planning;
mod policies;
mod prediction;
mod tiering;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use history::ReadHistory;
pub use job::Job;
pub use models::{MemoryModels, ModelError, ModelKey, ModelOf, ModelStore, StoredModel};
pub use policies::{Answer, Policies};
pub use prediction::Prediction;
