use haggle_sdk::{
    Fault,
    forecasting::{Bounds, Interval, Task},
    types::Series,
};

use crate::{
    history::History,
    scale::Scale,
    statistics::{larger, smaller},
};

/// The longest horizon, in steps.
pub const MOST_STEPS: u32 = 100_000;

/// Checks the horizon and the levels of a task.
///
/// # Errors
/// [`Fault::InvalidInput`] for a horizon that is 0 or too long, and for levels that are not strictly
/// between 0 and 1 or do not ascend.
pub fn check_task(task: &Task) -> Result<(), Fault> {
    if task.horizon_steps == 0 || task.horizon_steps > MOST_STEPS {
        let most = format!("the horizon is {}: it must be 1 to {MOST_STEPS}", task.horizon_steps);
        return Err(Fault::InvalidInput(most));
    }
    if let Some(level) = task.levels.iter().find(|level| !(**level > 0.0 && **level < 1.0)) {
        let between = format!("a level is {level}: it must lie strictly between 0 and 1");
        return Err(Fault::InvalidInput(between));
    }
    if !task.levels.is_sorted() {
        return Err(Fault::InvalidInput("the levels must ascend".into()));
    }
    Ok(())
}

/// A series as a history.
///
/// # Errors
/// [`Fault::InvalidInput`] for a step of 0.
pub fn history_of(series: &Series) -> Result<History<'_>, Fault> {
    if series.step_ms == 0 {
        return Err(Fault::InvalidInput(format!("series {}: the step is 0", series.id)));
    }
    Ok(History { values: &series.values, start: series.start_ms(), step: series.step_ms })
}

/// Computes intervals. The bound for a probability at a step is the mean plus `quantile` of the probability times
/// the step's usual error, one of `errors`, all on the scale, and is then transformed back. The mean lies within
/// every interval, a wider level encloses a narrower one, no number is below `floor`, and every number is finite.
pub fn intervals(
    means: &[f64],
    levels: &[f64],
    scale: &Scale,
    floor: f64,
    errors: &[f64],
    quantile: impl Fn(f64) -> f64,
) -> Vec<Interval> {
    let bound = |mean: f64, off: f64| larger(scale.undo(mean + off), floor);
    let mut intervals: Vec<Interval> = Vec::with_capacity(levels.len());
    for level in levels {
        let tail = (1.0 - level.clamp(0.0, 1.0)) / 2.0;
        let (below, above) = (smaller(quantile(tail), 0.0), larger(quantile(1.0 - tail), 0.0));
        let bounds = means.iter().zip(errors).map(|(mean, error)| Bounds {
            lower: bound(*mean, below * error),
            upper: bound(*mean, above * error),
        });
        let mut outer = Interval { level: *level, bounds: bounds.collect() };
        if let Some(inner) = intervals.last() {
            enclose(&mut outer, inner);
        }
        intervals.push(outer);
    }
    intervals
}

/// Widens an interval that does not enclose a narrower one. Fitted quantiles never cross, but model bytes may
/// contain anything.
fn enclose(outer: &mut Interval, inner: &Interval) {
    for (outer, inner) in outer.bounds.iter_mut().zip(&inner.bounds) {
        outer.lower = smaller(outer.lower, inner.lower);
        outer.upper = larger(outer.upper, inner.upper);
    }
}
