use haggle_model::Series;
use haggle_sandbox::types;

/// One series and its end time.
#[derive(Debug)]
pub(in crate::commands) struct Subject {
    pub(in crate::commands) series: types::Series,
    pub(super) end: u64,
}

impl Subject {
    pub(in crate::commands) fn new((id, series): (String, Series)) -> Self {
        let end = series.end().as_millis();
        let Series { step, values, .. } = series;
        let known = || values.iter().filter(|value| !value.is_nan());
        let non_negative = known().next().is_some() && known().all(|value| *value >= 0.0);
        let step_ms = step.as_millis();
        let last_at_ms = end.saturating_sub(step_ms);
        Self { series: types::Series { id, last_at_ms, step_ms, values, non_negative }, end }
    }

    /// The time of the first value, in milliseconds since the epoch.
    pub(super) fn start(&self) -> u64 {
        let steps = self.series.values.len() as u64;
        self.end.saturating_sub(self.series.step_ms.saturating_mul(steps))
    }
}
