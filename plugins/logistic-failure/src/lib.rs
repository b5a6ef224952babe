//! Failure probabilities by online logistic regression.
//!
//! The plugin derives six features from the recent values of every metric, and standardises each by its usual mean
//! and deviation. It learns the weights of the features batch by batch, and each batch starts from the present
//! weights. It recalibrates the log-odds by the outcomes of its predictions. Each module names its sources.
//!
//! Limits: the plugin learns no interactions between metrics, and at most 256 metrics. A batch should contain
//! examples of many instances: if the plugin learns one instance after another, it forgets the first ones.

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
