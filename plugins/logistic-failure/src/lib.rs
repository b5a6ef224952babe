//! Failure probabilities by online logistic regression.
//!
//! Six features are made of the recent course of every metric, each is standardised by what is usual for
//! it, and their weights are learnt batch by batch, each batch on top of what was known. The log-odds are
//! recalibrated by what came of the predictions. Each module says its sources.
//!
//! Limits: interactions between metrics are not learnt; at most 256 metrics are. A batch should hold
//! examples of many instances: taught one instance after the other, it forgets the first ones.

mod assessment;
mod bytes;
mod calibration;
mod features;
mod learning;
mod model;
mod optimiser;
mod plugin;

pub use assessment::assess;
pub use bytes::Unreadable;
pub use calibration::Calibration;
pub use features::{Features, PER_METRIC, features};
pub use learning::learn;
pub use model::{Knowledge, MEMORY, MOST_METRICS, Model, probability};
pub use optimiser::minimise;
pub use plugin::LogisticFailure;

haggle_sdk::export!(LogisticFailure: failure_prediction);

#[cfg(test)]
mod tests;
