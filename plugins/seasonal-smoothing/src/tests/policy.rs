use haggle_forecasting::Random;
use haggle_sdk::{
    Fault, Forecaster,
    forecasting::{Panel, Task},
    types::{Context, Series},
};

use crate::SeasonalSmoothing;

const MINUTE: u64 = 60_000;

fn context() -> Context {
    Context { now: 0, seed: 0, configuration: "{}".into() }
}

fn load(count: usize) -> Vec<f64> {
    let mut noise = Random::new(11);
    (0..count).map(|t| 100.0 + 40.0 * (t as f64 / 10.0).sin() + 3.0 * noise.normal()).collect()
}

fn series(values: &[f64], start: u64) -> Series {
    Series { id: "web".into(), start, step: MINUTE, values: values.to_vec(), non_negative: true }
}

fn fit(values: &[f64]) -> Vec<u8> {
    let panel =
        Panel { series: vec![series(values, 0)], horizon: 10, seasons: vec![63], events: vec![] };
    let mut fitted = SeasonalSmoothing::fit(&context(), &panel, None).unwrap();
    fitted.per_series.remove(0).unwrap()
}

fn task(series: Series, model: Option<Vec<u8>>) -> Task {
    Task { series, model, horizon: 10, levels: vec![0.8, 0.95] }
}

fn mean(task: Task) -> Result<Vec<f64>, Fault> {
    SeasonalSmoothing::forecast(&context(), None, &[task], &[]).remove(0).map(|o| o.mean)
}

#[test]
fn a_model_goes_on_with_what_is_new_whatever_the_window_repeats() {
    let values = load(400);
    let model = fit(&values[..300]);
    assert!(model.len() < 1024, "{} bytes", model.len());
    let all = mean(task(series(&values, 0), Some(model.clone()))).unwrap();
    let some = mean(task(series(&values[200..], 200 * MINUTE), Some(model.clone()))).unwrap();
    let new = mean(task(series(&values[300..], 300 * MINUTE), Some(model))).unwrap();
    assert_eq!(all, some);
    assert_eq!(all, new);
    let fresh = mean(task(series(&values, 0), Some(fit(&values)))).unwrap();
    for (a, b) in all.iter().zip(&fresh) {
        assert!((a - b).abs() < 10.0, "{a} is far from {b}");
    }
}

#[test]
fn what_cannot_go_on_is_fitted_anew() {
    let values = load(300);
    let model = fit(&values);
    let refused = |series: Series, model: &[u8]| {
        let answer = mean(task(series, Some(model.to_vec())));
        assert!(matches!(answer, Err(Fault::IncompatibleModel(_))), "{answer:?}");
    };
    refused(series(&values[..100], 0), &model);
    refused(series(&values, 100_000 * MINUTE), &model);
    refused(Series { step: 2 * MINUTE, ..series(&values, 0) }, &model);
    refused(series(&values, 0), b"HGSS\x02and more");
    refused(series(&values, 0), &model[1..]);
    assert!(mean(task(series(&values, 0), Some(Vec::new()))).is_ok());
    assert!(mean(task(series(&values, 0), None)).is_ok());
}

#[test]
fn broken_tasks_are_named() {
    let values = load(30);
    let invalid = |task: Task| {
        let answer = mean(task);
        assert!(matches!(answer, Err(Fault::InvalidInput(_))), "{answer:?}");
    };
    invalid(Task { horizon: 0, ..task(series(&values, 0), None) });
    invalid(Task { levels: vec![1.0], ..task(series(&values, 0), None) });
    invalid(task(Series { step: 0, ..series(&values, 0) }, None));
    let empty = mean(task(series(&[f64::NAN; 3], 0), None));
    assert!(matches!(empty, Err(Fault::InsufficientData(_))));
}

#[test]
fn the_same_input_gives_the_same_bits() {
    let values = load(300);
    assert_eq!(fit(&values), fit(&values));
    let bits = |values: Vec<f64>| values.into_iter().map(f64::to_bits).collect::<Vec<_>>();
    let once = || bits(mean(task(series(&values, 0), None)).unwrap());
    assert_eq!(once(), once());
}
