use std::f64::consts::TAU;

use haggle_forecasting::{HOUR, History, Model, Random};

use crate::DynamicTheta;

fn fit(values: &[f64], seasons: &[u32]) -> Model<DynamicTheta> {
    Model::fit(History { values, start: 0, step: HOUR }, seasons, 24, &[]).unwrap()
}

/// The daily peak is in the morning at first, and after three weeks in the evening.
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
    // A model that was written and read keeps its gains.
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

/// For a deviation that fades within hours, the last value is the best forecast one step ahead, but not over a day.
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
