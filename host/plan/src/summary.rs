use haggle_model::Span;
use serde::{Deserialize, Serialize};

use crate::Outlook;

/// A forecast up to one horizon in a few numbers. Every number is finite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Summary {
    /// How far ahead of the forecast's start.
    pub horizon: Span,
    /// The mean of the expected values until then.
    pub mean: f64,
    /// The highest of the expected values until then.
    pub peak: f64,
    /// At each level, how low and how high it may be until then.
    pub intervals: Vec<Band>,
}

/// What encloses the prediction intervals of several steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Band {
    /// The level of each of the intervals, between 0 and 1.
    pub level: f64,
    /// The lowest of the lower bounds.
    pub lower: f64,
    /// The highest of the upper bounds.
    pub upper: f64,
}

impl Outlook {
    /// How far ahead it reaches.
    #[must_use]
    pub fn horizon(&self) -> Span {
        Span::from_millis(self.step.as_millis().saturating_mul(self.mean.len() as u64))
    }

    /// The steps until `horizon`, rounded up to whole ones, in a few numbers. `None` where it does not reach
    /// that far.
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
            // Divided first: a sum of finite numbers need not be one.
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
        // Seven minutes touch two steps.
        let further = outlook.summary(Span::from_mins(7)).unwrap();
        assert_eq!((further.mean, further.peak), (6.0, 8.0));
        assert_eq!(further.intervals, [Band { level: 0.8, lower: 3.0, upper: 11.0 }]);
        let all = outlook.summary(outlook.horizon()).unwrap();
        assert_eq!((all.mean, all.intervals[0].lower, all.intervals[0].upper), (5.0, 1.0, 20.0));
        assert_eq!(outlook.summary(Span::from_mins(16)), None);
    }
}
