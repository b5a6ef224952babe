use haggle_forecasting::{HOUR, History, Model, Random, check};
use haggle_sdk::{Forecasting, forecasting::Task};

use crate::{SeasonalSmoothing, Smoothing};

fn load(count: usize) -> Vec<f64> {
    let mut random = Random::new(11);
    (0..count).map(|t| 100.0 + 40.0 * (t as f64 / 10.0).sin() + 3.0 * random.normal()).collect()
}

/// A small model that resumes forecasts about as a new fit does.
#[test]
fn going_on_is_near_a_fresh_fit() {
    let values = load(400);
    let fit = |values: &[f64]| {
        Model::<Smoothing>::fit(History { values, start: 0, step: HOUR }, &[63], 10, &[]).unwrap()
    };
    let mut model = fit(&values[..300]);
    let bytes = model.to_bytes().len();
    assert!(bytes < 1024, "{bytes} bytes");
    assert!(model.resume(History { values: &values, start: 0, step: HOUR }, &[]));
    let mean = |model: &Model<Smoothing>| model.outlook(10, &[], true, &[]).mean;
    for (a, b) in mean(&model).iter().zip(mean(&fit(&values))) {
        assert!((a - b).abs() < 10.0, "{a} is far from {b}");
    }
}

/// Without a model, a forecast is that of a fit with the seasons of the task.
#[test]
fn a_task_without_a_model_is_forecast_with_its_seasons() {
    let values = load(400);
    let mean = |seasons: &[u32]| {
        let task = Task {
            series: check::series(&values, 0),
            model: None,
            horizon_steps: 10,
            seasons_steps: seasons.to_vec(),
            levels: vec![0.8],
        };
        SeasonalSmoothing::forecast(&check::context(), None, &[task], &[]).remove(0).unwrap().mean
    };
    let fitted = |seasons: &[u32]| {
        let history = History { values: &values, start: 0, step: HOUR };
        let model = Model::<Smoothing>::fit(history, seasons, 10, &[]).unwrap();
        model.outlook(10, &[0.8], true, &[]).mean
    };
    assert_eq!(mean(&[40]), fitted(&[40]));
    assert_eq!(mean(&[]), fitted(&[]));
    assert_ne!(mean(&[40]), mean(&[]));
}
