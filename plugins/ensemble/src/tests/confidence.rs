use haggle_forecasting::{HOUR, Random};
use haggle_sdk::{
    Forecasting,
    forecasting::{Panel, Task},
    types::{Context, Series},
};

use crate::Ensemble;

const AHEAD: usize = 12;

/// A season on a random walk whose steps grow with the number of the series, so that some series are easy to
/// forecast and others are not.
fn series(number: usize) -> Vec<f64> {
    let mut random = Random::new(number as u64);
    let loud = 0.02 * 1.12_f64.powi(number as i32);
    let mut walk = 0.0;
    let next = |t: usize| {
        walk += loud * random.normal();
        100.0 + 10.0 * (t as f64 / 24.0 * std::f64::consts::TAU).sin() + walk
    };
    (0..480 + AHEAD).map(next).collect()
}

/// The rank of each value among all.
fn ranks(values: &[f64]) -> Vec<f64> {
    let below = |value: &f64| values.iter().filter(|other| *other < value).count() as f64;
    values.iter().map(below).collect()
}

/// Spearman's correlation.
fn rank_correlation(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let centre = (a.len() - 1) as f64 / 2.0;
    let product = |a: &[f64], b: &[f64]| -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - centre) * (b - centre)).sum()
    };
    product(&a, &b) / (product(&a, &a) * product(&b, &b)).sqrt()
}

#[test]
fn low_confidence_goes_with_large_errors() {
    let all: Vec<Vec<f64>> = (0..60).map(series).collect();
    let known = |(number, values): (usize, &Vec<f64>)| Series {
        id: number.to_string(),
        last_at_ms: 479 * HOUR,
        step_ms: HOUR,
        values: values[..480].to_vec(),
        non_negative: false,
    };
    let series: Vec<Series> = all.iter().enumerate().map(known).collect();
    let context = Context { now_ms: 0, seed: 0, configuration: "{}".into() };
    let (horizon_steps, seasons_steps) = (AHEAD as u32, vec![24]);
    let panel = Panel { series, horizon_steps, seasons_steps, events: vec![] };
    let fitted = Ensemble::fit(&context, &panel, None).unwrap();
    let task = |(series, model): (Series, Result<Vec<u8>, _>)| Task {
        series,
        model: model.ok(),
        horizon_steps: AHEAD as u32,
        seasons_steps: vec![24],
        levels: vec![0.8],
    };
    let tasks: Vec<Task> = panel.series.into_iter().zip(fitted.models).map(task).collect();
    let outlooks = Ensemble::forecast(&context, fitted.shared.as_deref(), &tasks, &[]);
    let (mut confidences, mut errors) = (Vec::new(), Vec::new());
    for (values, outlook) in all.iter().zip(outlooks) {
        let outlook = outlook.unwrap();
        let (past, later) = values.split_at(480);
        let movement: f64 = past.array_windows().map(|[a, b]| (b - a).abs()).sum::<f64>() / 479.0;
        let off = later.iter().zip(&outlook.mean).map(|(came, mean)| (came - mean).abs());
        errors.push(off.sum::<f64>() / AHEAD as f64 / movement);
        confidences.push(outlook.confidence);
    }
    let correlation = rank_correlation(&confidences, &errors);
    assert!(correlation < -0.6, "{correlation}");
}
