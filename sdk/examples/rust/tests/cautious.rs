//! Plugins are tested as any other code: natively, by calling them.

use example_policy::Cautious;
use haggle_sdk::{
    Fault, Forecasting,
    forecasting::{Outlook, Task},
    types::{Context, Series},
};

fn forecast(values: &[f64], non_negative: bool) -> Result<Outlook, Fault> {
    let context = Context { now_ms: 0, seed: 0, configuration: "{}".into() };
    let series = Series {
        id: "web".into(),
        last_at_ms: 3_600_000,
        step_ms: 60_000,
        values: values.to_vec(),
        non_negative,
    };
    let task = Task {
        series,
        model: None,
        horizon_steps: 2,
        seasons_steps: Vec::new(),
        levels: vec![0.8, 0.95],
    };
    Cautious::forecast(&context, None, &[task], &[]).remove(0)
}

#[test]
fn continues_the_drift_and_widens() {
    let outlook = forecast(&[10.0, 13.0, f64::NAN, 14.0, 16.0], false).unwrap();
    assert_eq!(outlook.mean, [18.0, 20.0]);
    let width = |level: usize, h: usize| {
        let bounds = outlook.intervals[level].bounds[h];
        bounds.upper - bounds.lower
    };
    assert!(width(0, 0) > 0.0 && width(0, 0) < width(0, 1) && width(0, 1) < width(1, 1));
}

#[test]
fn stays_above_zero_where_the_metric_does() {
    let outlook = forecast(&[9.0, 2.0], true).unwrap();
    assert_eq!(outlook.mean, [0.0, 0.0]);
    assert!(forecast(&[9.0, 2.0], false).unwrap().mean[1] < 0.0);
}

#[test]
fn needs_a_value() {
    assert!(matches!(forecast(&[f64::NAN], true), Err(Fault::InsufficientData(_))));
    assert!(forecast(&[1e300, -1e300, 5.0], false).unwrap().mean[0].is_finite());
}
