use haggle_model::{ScalingLimits, Span, Timestamp, Window};
use serde::{Deserialize, Serialize};

/// A forecast of one service's load. Each list has one value per step. Every number is finite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Outlook {
    /// The start of the first step.
    pub start: Timestamp,
    /// The length of a step.
    pub step: Span,
    /// The expected values.
    pub mean: Vec<f64>,
    /// Central prediction intervals, narrowest first.
    pub intervals: Vec<Interval>,
    /// The confidence, 0 to 1, as the forecasting plugin reported it.
    pub confidence: f64,
}

/// A central prediction interval for every step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Interval {
    /// The share of outcomes within the interval, between 0 and 1.
    pub level: f64,
    /// The lower bounds.
    pub lower: Vec<f64>,
    /// The upper bounds.
    pub upper: Vec<f64>,
}

impl Outlook {
    /// The highest value of the planned quantile over the steps that overlap the window. If no interval has
    /// that quantile as its upper bound, the widest interval is used; if there is no interval, the mean.
    /// `None` if no step overlaps the window.
    #[must_use]
    pub fn peak(&self, limits: &ScalingLimits, window: Window) -> Option<f64> {
        let planned = self.intervals.iter().find(|interval| limits.plans_with(interval.level));
        let bounds = planned.or(self.intervals.last()).map_or(&self.mean, |found| &found.upper);
        self.over(bounds, window)
    }

    /// The highest expected value over the steps that overlap the window.
    #[must_use]
    pub fn mean_peak(&self, window: Window) -> Option<f64> {
        self.over(&self.mean, window)
    }

    fn over(&self, values: &[f64], window: Window) -> Option<f64> {
        let step_of = |i: usize| {
            let offset = self.step.as_millis().saturating_mul(i as u64);
            Window::new(self.start + Span::from_millis(offset), self.step)
        };
        values
            .iter()
            .enumerate()
            .filter(|(i, _)| step_of(*i).overlaps(&window))
            .map(|(_, value)| *value)
            .reduce(f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::{Interval, Outlook};
    use haggle_model::{ScalingLimits, Span, Timestamp, Window};

    #[test]
    fn looks_at_the_steps_that_touch_the_window() {
        let outlook = Outlook {
            start: Timestamp::from_millis(100),
            step: Span::from_millis(10),
            mean: vec![1.0, 5.0, 3.0],
            intervals: vec![Interval {
                level: 0.8,
                lower: vec![0.0; 3],
                upper: vec![2.0, 9.0, 4.0],
            }],
            confidence: 1.0,
        };
        let window = |from, to| Window {
            start: Timestamp::from_millis(from),
            end: Timestamp::from_millis(to),
        };
        let limits = |quantile| ScalingLimits { quantile, ..ScalingLimits::default() };
        assert_eq!(outlook.peak(&limits(0.9), window(0, 110)), Some(2.0));
        assert_eq!(outlook.peak(&limits(0.9), window(0, 111)), Some(9.0));
        assert_eq!(outlook.peak(&limits(0.75), window(125, 500)), Some(4.0));
        assert_eq!(outlook.mean_peak(window(0, 500)), Some(5.0));
        assert_eq!(outlook.peak(&limits(0.9), window(0, 100)), None);
    }
}
