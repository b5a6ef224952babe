use haggle_forecasting::{HOUR, History, Model, Random};

use crate::Smoothing;

fn load(count: usize) -> Vec<f64> {
    let mut random = Random::new(11);
    (0..count).map(|t| 100.0 + 40.0 * (t as f64 / 10.0).sin() + 3.0 * random.normal()).collect()
}

/// A small model that goes on is about as good as one that is fitted anew.
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
