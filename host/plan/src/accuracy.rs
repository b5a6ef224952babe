use haggle_model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Outlook;

/// The accuracy of recent forecasts of one service. Each finished step is compared with its latest
/// forecast. Older steps count exponentially less; about 50 steps dominate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Accuracy {
    /// The number of compared steps.
    pub steps: u64,
    /// The mean absolute error, in the unit of the load.
    pub error: f64,
    /// The mean absolute change from one step to the next, as a scale for the error.
    pub movement: f64,
    /// The share of steps whose value was within the widest interval, 0 to 1.
    pub coverage: f64,
    /// The last compared value.
    #[serde(skip)]
    last: Option<f64>,
    /// The end of the last compared step.
    #[serde(skip)]
    until: Timestamp,
    /// The number of compared steps since the last fit, and the share of them within the widest interval.
    #[serde(skip)]
    since_fit: (u64, f64),
}

/// The minimum weight of the newest step.
const GAIN: f64 = 0.02;
/// The minimum number of steps for detecting a drift.
const ENOUGH: u64 = 20;
/// The tolerated shortfall of the coverage below its level.
const SLACK: f64 = 0.25;

impl Accuracy {
    /// Compares the value of the step that began at `start` with the forecast in `outlook`. Each step
    /// counts once. A step without a forecast or a value does not count.
    pub fn compare(&mut self, outlook: &Outlook, start: Timestamp, value: f64) {
        if start < self.until || start < outlook.start || value.is_nan() || outlook.step.is_zero() {
            return;
        }
        let place = start.since(outlook.start).steps(outlook.step);
        let Ok(place) = usize::try_from(place) else { return };
        let Some(mean) = outlook.mean.get(place) else { return };
        let within = outlook.intervals.last().and_then(|widest| {
            let (lower, upper) = (widest.lower.get(place)?, widest.upper.get(place)?);
            Some(f64::from(u8::from(*lower <= value && value <= *upper)))
        });
        self.steps += 1;
        let within = within.unwrap_or(0.0);
        let gain = (1.0 / self.steps as f64).max(GAIN);
        self.error += gain * ((value - mean).abs() - self.error);
        self.coverage += gain * (within - self.coverage);
        let (steps, coverage) = &mut self.since_fit;
        *steps += 1;
        *coverage += (1.0 / *steps as f64).max(GAIN) * (within - *coverage);
        if let Some(last) = self.last {
            let gain = (1.0 / (self.steps - 1).max(1) as f64).max(GAIN);
            self.movement += gain * ((value - last).abs() - self.movement);
        }
        self.last = Some(value);
        self.until = start + outlook.step;
    }

    /// The mean absolute error divided by the mean change from step to step. Above 1, the last value would
    /// have been a better forecast. `None` until the value has changed.
    #[must_use]
    pub fn scaled_error(&self) -> Option<f64> {
        (self.movement > 0.0).then(|| self.error / self.movement)
    }

    /// Whether the model no longer fits: far fewer values than `level` are within the widest interval.
    #[must_use]
    pub fn has_drifted(&self, level: f64) -> bool {
        let (steps, coverage) = self.since_fit;
        steps >= ENOUGH && coverage < level - SLACK
    }

    /// Resets the drift detection after a new fit.
    pub fn refitted(&mut self) {
        self.since_fit = (0, 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::Accuracy;
    use crate::{Interval, Outlook};
    use haggle_model::{Span, Timestamp};

    fn outlook(start: u64, mean: f64) -> Outlook {
        let interval =
            Interval { level: 0.95, lower: vec![mean - 2.0; 3], upper: vec![mean + 2.0; 3] };
        Outlook {
            start: Timestamp::from_millis(start),
            step: Span::from_millis(10),
            mean: vec![mean; 3],
            intervals: vec![interval],
            confidence: 1.0,
        }
    }

    #[test]
    fn each_step_counts_once_and_against_what_was_forecast_for_it() {
        let mut accuracy = Accuracy::default();
        let at = Timestamp::from_millis;
        accuracy.compare(&outlook(100, 5.0), at(100), 6.0);
        accuracy.compare(&outlook(100, 5.0), at(100), 60.0);
        accuracy.compare(&outlook(110, 5.0), at(110), 9.0);
        // These steps are before the forecast, beyond it, and unknown.
        accuracy.compare(&outlook(200, 5.0), at(120), 9.0);
        accuracy.compare(&outlook(110, 5.0), at(140), 9.0);
        accuracy.compare(&outlook(110, 5.0), at(120), f64::NAN);
        assert_eq!(accuracy.steps, 2);
        assert!((accuracy.error - 2.5).abs() < 1e-12);
        assert!((accuracy.coverage - 0.5).abs() < 1e-12);
        assert!((accuracy.movement - 3.0).abs() < 1e-12);
        assert!((accuracy.scaled_error().unwrap() - 2.5 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn a_model_that_no_longer_fits_has_drifted() {
        let mut accuracy = Accuracy::default();
        let mut feed = |value: f64, from: u64| {
            for step in from..from + 40 {
                let outlook = outlook(step * 10, 5.0);
                accuracy.compare(&outlook, Timestamp::from_millis(step * 10), value);
            }
            accuracy.has_drifted(0.95)
        };
        assert!(!feed(5.5, 0));
        assert!(feed(50.0, 40));
        accuracy.refitted();
        assert!(!accuracy.has_drifted(0.95) && accuracy.coverage < 0.7);
        assert!(!Accuracy::default().has_drifted(0.95));
    }
}
