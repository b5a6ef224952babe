use haggle_forecasting::{Random, check};
use haggle_sdk::{
    Forecasting,
    forecasting::{Panel, Task},
    types::Series,
};

use crate::Ensemble;

const AHEAD: usize = 12;
const KNOWN: usize = 480;

/// The shares of later values within the intervals of 80% and 95%, over many series of one kind.
fn coverage(make: impl Fn(&mut Random, usize) -> Vec<f64>) -> (f64, f64) {
    let all: Vec<Vec<f64>> =
        (0..150).map(|seed| make(&mut Random::new(seed), KNOWN + AHEAD)).collect();
    let known = |(hours, values): (u64, &Vec<f64>)| check::series(&values[..KNOWN], hours);
    let series: Vec<Series> = (0..).zip(&all).map(known).collect();
    let (horizon_steps, seasons_steps) = (AHEAD as u32, vec![24]);
    let panel = Panel { series, horizon_steps, seasons_steps, events: vec![] };
    let fitted = Ensemble::fit(&check::context(), &panel, None).unwrap();
    let task = |(series, model): (Series, Result<Vec<u8>, _>)| Task {
        series,
        model: model.ok(),
        horizon_steps: AHEAD as u32,
        seasons_steps: vec![24],
        levels: vec![0.8, 0.95],
    };
    let tasks: Vec<Task> = panel.series.into_iter().zip(fitted.models).map(task).collect();
    let outlooks = Ensemble::forecast(&check::context(), fitted.shared.as_deref(), &tasks, &[]);
    let mut within = [0.0; 2];
    for (values, outlook) in all.iter().zip(outlooks) {
        let outlook = outlook.unwrap();
        for (within, interval) in within.iter_mut().zip(&outlook.intervals) {
            let bounds = interval.bounds.iter().zip(&values[KNOWN..]);
            let hits = bounds.filter(|(b, came)| b.lower <= **came && **came <= b.upper);
            *within += hits.count() as f64;
        }
    }
    let [in80, in95] = within.map(|hits| hits / (all.len() * AHEAD) as f64);
    (in80, in95)
}

fn assert_honest(make: impl Fn(&mut Random, usize) -> Vec<f64>) {
    let (in80, in95) = coverage(make);
    assert!((0.76..=0.86).contains(&in80), "80% interval: {in80}");
    assert!((0.92..=0.98).contains(&in95), "95% interval: {in95}");
}

#[test]
fn of_white_noise() {
    assert_honest(|random, n| (0..n).map(|_| 100.0 + 7.0 * random.normal()).collect());
}

#[test]
fn of_a_random_walk() {
    assert_honest(|random, n| {
        let mut x = 1000.0;
        let mut next = || {
            x += 3.0 * random.normal();
            x
        };
        (0..n).map(|_| next()).collect()
    });
}

#[test]
fn of_a_day_with_lopsided_noise() {
    assert_honest(|random, n| {
        let day = |t: usize| (t as f64 / 24.0 * std::f64::consts::TAU).sin();
        let mut noise = || -10.0 * random.uniform().max(1e-12).ln();
        (0..n).map(|t| 200.0 + 80.0 * day(t) + noise()).collect()
    });
}
