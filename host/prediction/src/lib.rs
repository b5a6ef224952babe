//! Decides in every pass when to fit, forecast, learn, assess and assign tiers.
//!
//! [`Prediction`] holds what the host has learned: models, forecast accuracy, and failure outcomes. From a
//! snapshot of the core's state it creates [`Job`]s, each of which does the work of one panel and can run on
//! any thread, concurrently with the core and the other jobs. The results return to the core as
//! [`Input`](haggle_control::Input)s. While a job is running, no second one is created for its services: a
//! slow plugin delays only the services that it decides for.

mod concerns;
mod due;
mod failure_outcomes;
mod failures;
mod fitting;
mod forecasting;
mod history;
mod job;
mod memory;
mod model_store;
mod models;
mod periods;
mod planning;
mod policies;
mod prediction;
mod shared_state;
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
