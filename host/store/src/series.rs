//! Samples and their series.

use std::fmt;

use haggle_model::{Name, Timestamp};
use serde::{Deserialize, Serialize};

use crate::key::Key;

/// Identifies a series.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SeriesKey {
    /// The service.
    pub service: Name,
    /// The metric.
    pub metric: String,
    /// The replica, container or API that was measured; empty for the service as a whole.
    pub instance: String,
}

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When it was measured.
    pub at: Timestamp,
    /// The value; may be NaN.
    pub value: f64,
}

impl fmt::Display for SeriesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, metric, instance } = self;
        write!(f, "{service} {metric}")?;
        if instance.is_empty() { Ok(()) } else { write!(f, " of {instance}") }
    }
}

impl Key for SeriesKey {
    fn encode(&self, out: &mut Vec<u8>) {
        self.service.encode(out);
        self.metric.encode(out);
        self.instance.encode(out);
    }

    fn decode(input: &mut &[u8]) -> Option<Self> {
        Some(Self {
            service: Key::decode(input)?,
            metric: Key::decode(input)?,
            instance: Key::decode(input)?,
        })
    }
}
