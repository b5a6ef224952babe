//! A forecaster in one file. It continues the line from the first to the last value (the drift method of Hyndman &
//! Athanasopoulos, "Forecasting: Principles and Practice", 3rd edition, section 5.2) and doubles its intervals, so
//! that a service with a short history gets spare capacity.

use haggle_sdk::{
    Fault, Forecasting, Plugin,
    forecasting::{Bounds, Interval, Outlook, Task},
    metadata::Description,
    types::{CalendarEvent, Context},
};

/// How much wider its intervals are than those of a random walk.
const CAUTION: f64 = 2.0;

/// The plugin.
#[derive(Debug)]
pub struct Cautious;

impl Plugin for Cautious {
    fn describe() -> Description {
        Description {
            name: "example-forecaster".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Continues the drift of the history, with wide intervals.".into(),
            configuration_schema: "{}".into(),
        }
    }
}

impl Forecasting for Cautious {
    fn forecast(
        _: &Context,
        _: Option<&[u8]>,
        tasks: &[Task],
        _: &[CalendarEvent],
    ) -> Vec<Result<Outlook, Fault>> {
        tasks.iter().map(outlook).collect()
    }
}

fn outlook(task: &Task) -> Result<Outlook, Fault> {
    // Neither missing (NaN) nor so large that a square is infinite.
    let usable = |value: &f64| value.abs() < 1e100;
    let values: Vec<f64> = task.series.values.iter().copied().filter(usable).collect();
    let (Some(first), Some(last)) = (values.first(), values.last()) else {
        return Err(Fault::InsufficientData("at least one value is needed".into()));
    };
    let steps = values.len().max(2) as f64 - 1.0;
    let drift = (last - first) / steps;
    let squares = values.array_windows().map(|[a, b]| (b - a - drift).powi(2));
    let deviation = (squares.sum::<f64>() / steps).sqrt();

    let floor = if task.series.non_negative { 0.0 } else { f64::MIN };
    let ahead = || (1..=task.horizon_steps).map(f64::from);
    let bound = move |width: f64, h: f64| {
        let spread = deviation * (h * (1.0 + h / steps)).sqrt();
        (last + drift * h + CAUTION * width * spread).clamp(floor, f64::MAX)
    };
    let interval = |&level: &f64| {
        // The quantile of the logistic distribution, scaled to a variance of 1: its heavier tails are more cautious
        // than those of the normal distribution.
        let quantile = ((1.0 + level) / (1.0 - level)).ln() * 3f64.sqrt() / std::f64::consts::PI;
        let bounds = |h| Bounds { lower: bound(-quantile, h), upper: bound(quantile, h) };
        Interval { level, bounds: ahead().map(bounds).collect() }
    };
    Ok(Outlook {
        mean: ahead().map(|h| bound(0.0, h)).collect(),
        intervals: task.levels.iter().map(interval).collect(),
        confidence: 0.25,
    })
}

haggle_sdk::export!(Cautious: forecasting);
