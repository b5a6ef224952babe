use haggle_model::Span;
use serde::{Deserialize, Serialize};

use crate::Outlook;

/// A summary of a forecast up to one horizon. Every number is finite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Summary {
    /// The horizon, counted from the start of the forecast.
    pub horizon: Span,
    /// The mean of the expected values up to the horizon.
    pub mean: f64,
    /// The maximum of the expected values up to the horizon.
    pub peak: f64,
    /// The range of the values up to the horizon, for each level.
    pub intervals: Vec<Band>,
}

/// The range that encloses the prediction intervals of several steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Band {
    /// The level of the intervals, between 0 and 1.
    pub level: f64,
    /// The minimum of the lower bounds.
    pub lower: f64,
    /// The maximum of the upper bounds.
    pub upper: f64,
}

impl Outlook {
    /// The length of the forecast.
    #[must_use]
    pub fn horizon(&self) -> Span {
        Span::from_millis(self.step.as_millis().saturating_mul(self.mean.len() as u64))
    }

    /// Summarises the steps up to `horizon`, rounded up to whole steps. `None` if the forecast is shorter.
    #[must_use]
    pub fn summary(&self, horizon: Span) -> Option<Summary> {
        let steps = usize::try_from(horizon.steps(self.step)).ok()?;
        let means = self.mean.get(..steps)?;
        let lowest = |bounds: &[f64]| bounds.iter().take(steps).copied().reduce(f64::min);
        let highest = |bounds: &[f64]| bounds.iter().take(steps).copied().reduce(f64::max);
        let bands = self.intervals.iter().map(|interval| {
            let (lower, upper) = (lowest(&interval.lower)?, highest(&interval.upper)?);
            Some(Band { level: interval.level, lower, upper })
        });
        Some(Summary {
            horizon,
            // Dividing first avoids an overflow of the sum.
            mean: means.iter().map(|mean| mean / steps as f64).sum(),
            peak: highest(means)?,
            intervals: bands.collect::<Option<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Band;
    use crate::{Interval, Outlook};
    use haggle_model::{Span, Timestamp};

    #[test]
    fn looks_as_far_as_it_is_asked_and_no_further() {
        let outlook = Outlook {
            start: Timestamp::from_millis(0),
            step: Span::from_mins(5),
            mean: vec![4.0, 8.0, 3.0],
            intervals: vec![Interval {
                level: 0.8,
                lower: vec![3.0, 5.0, 1.0],
                upper: vec![5.0, 11.0, 20.0],
            }],
            confidence: 1.0,
        };
        let near = outlook.summary(Span::from_mins(5)).unwrap();
        assert_eq!((near.mean, near.peak), (4.0, 4.0));
        // Seven minutes overlap two steps.
        let further = outlook.summary(Span::from_mins(7)).unwrap();
        assert_eq!((further.mean, further.peak), (6.0, 8.0));
        assert_eq!(further.intervals, [Band { level: 0.8, lower: 3.0, upper: 11.0 }]);
        let all = outlook.summary(outlook.horizon()).unwrap();
        assert_eq!((all.mean, all.intervals[0].lower, all.intervals[0].upper), (5.0, 1.0, 20.0));
        assert_eq!(outlook.summary(Span::from_mins(16)), None);
    }
}
