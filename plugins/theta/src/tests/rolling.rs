use std::f64::consts::TAU;

use haggle_forecasting::{HOUR, History, Model, Random};

use crate::DynamicTheta;

fn fit(values: &[f64], seasons: &[u32]) -> Model<DynamicTheta> {
    Model::fit(History { values, start: 0, step: HOUR }, seasons, 24, &[]).unwrap()
}

/// A day that has its peak in the morning, and some weeks later in the evening.
#[test]
fn a_season_that_changed_is_forecast_as_it_is_now() {
    let mut random = Random::new(1);
    let truth = |t: usize| {
        let peak = if t < 24 * 21 { 8.0 } else { 20.0 };
        100.0 + 30.0 * (TAU * (t as f64 - peak) / 24.0).cos()
    };
    let values: Vec<f64> = (0..24 * 35).map(|t| truth(t) + random.normal()).collect();
    let model = fit(&values, &[24]);
    for (h, mean) in model.outlook(24, &[], true, &[]).mean.iter().enumerate() {
        let came = truth(values.len() + h);
        assert!((mean - came).abs() < 10.0, "step {h}: {mean}, not {came}");
    }
    // What was learnt goes on being learnt, also by a model that was bytes meanwhile.
    let read = Model::<DynamicTheta>::from_bytes(&model.to_bytes()).unwrap();
    assert!(read.method.model.adjustment.gains[0] > 0.05);
    assert_eq!(read.method.model.adjustment.gains, model.method.model.adjustment.gains);
}

/// A steady season is better known from all days than from the last ones.
#[test]
fn a_season_that_stays_takes_little_on() {
    let mut random = Random::new(2);
    let truth = |t: usize| 100.0 + 10.0 * (TAU * t as f64 / 24.0).cos();
    let values: Vec<f64> = (0..24 * 35).map(|t| truth(t) + 5.0 * random.normal()).collect();
    let gains = fit(&values, &[24]).method.model.adjustment.gains;
    assert!(gains[0] < 0.2, "{gains:?}");
}

/// One step ahead, the last value is the best guess of what wanders back within hours; over a day it is not.
#[test]
fn a_level_that_returns_is_not_followed_over_the_horizon() {
    let mut random = Random::new(3);
    let mut off = 0.0;
    let values: Vec<f64> = (0..600)
        .map(|_| {
            off = 0.9 * off + random.normal();
            100.0 + off
        })
        .collect();
    let next = crate::Model::fit_plain(&values).unwrap().parameters.level;
    let over = fit(&values, &[7]).method.model.parameters.level;
    assert!(next > 0.6 && over < 0.3, "{next} {over}");
}
