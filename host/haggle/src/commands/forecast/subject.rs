use haggle_model::Series;
use haggle_sandbox::types;

/// One series and the time right behind it.
#[derive(Debug)]
pub(in crate::commands) struct Subject {
    pub(in crate::commands) series: types::Series,
    pub(super) end: u64,
}

impl Subject {
    pub(in crate::commands) fn new((id, series): (String, Series)) -> Self {
        let end = series.end().as_millis();
        let Series { start, step, values } = series;
        let known = || values.iter().filter(|value| !value.is_nan());
        let non_negative = known().next().is_some() && known().all(|value| *value >= 0.0);
        let (start, step) = (start.as_millis(), step.as_millis());
        Self { series: types::Series { id, start, step, values, non_negative }, end }
    }
}
