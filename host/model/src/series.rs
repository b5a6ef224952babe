use serde::{Deserialize, Serialize};

use crate::{Span, Timestamp};

/// A regularly spaced series of one metric, oldest value first; NaN is a missing value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// The time of the first value.
    pub start: Timestamp,
    /// The distance between two values; never zero.
    pub step: Span,
    /// The values.
    pub values: Vec<f64>,
}

impl Series {
    /// The time one step after the last value, at which a forecast begins.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        let length = self.step.as_millis().saturating_mul(self.values.len() as u64);
        self.start + Span::from_millis(length)
    }

    /// The last value that is not missing.
    #[must_use]
    pub fn last(&self) -> Option<f64> {
        self.values.iter().rev().copied().find(|value| value.is_finite())
    }

    /// The last `count` values.
    #[must_use]
    pub fn tail(&self, count: usize) -> Self {
        let skipped = self.values.len().saturating_sub(count);
        let start =
            self.start + Span::from_millis(self.step.as_millis().saturating_mul(skipped as u64));
        let values = self.values.iter().skip(skipped).copied().collect();
        Self { start, step: self.step, values }
    }
}
