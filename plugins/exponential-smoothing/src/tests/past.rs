//! The state of a model after the first values.

use std::f64::consts::TAU;

use haggle_forecasting::Outliers;

use crate::{Form, Model, Parameters, Season, Seasonal, State, Trend};

/// A daily course of 24 values whose level falls from 2 to 1 in the first two days and then stays.
fn falls_and_stays() -> Vec<f64> {
    let level = |t: f64| 1.0 + (1.0 - t / 48.0).max(0.0);
    (0..600).map(f64::from).map(|t| level(t) * (1.0 + 0.5 * (TAU * t / 24.0).sin())).collect()
}

#[test]
fn a_slope_of_the_first_days_does_not_carry_a_model_of_proportions_below_zero() {
    let values = falls_and_stays();
    let slow = Parameters {
        level: 0.02,
        trend: 1e-4,
        damping: 1.0,
        transient: 0.0,
        persistence: 0.0,
        seasonal: [0.3, 0.0],
    };
    let state = State {
        level: 1.0,
        trend: 0.0,
        transient: 0.0,
        seasons: vec![Season { profile: vec![1.0; 24], position: 0 }],
    };
    let model = Model {
        form: Form::multiplicative(Trend::Additive, Seasonal::Multiplicative),
        parameters: slow,
        state,
        unit: 1.0,
        variance: 0.01,
        criterion: 0.0,
        outliers: Outliers::default(),
    };
    let mut early = model.early(&values, 48);
    for value in &values[48..] {
        let mean = early.forecast(1).mean[0];
        assert!((0.0..5.0).contains(&mean), "{mean}: {:?}", early.state);
        early.update(&[*value]);
    }
}

#[test]
fn whatever_level_it_has_a_model_of_proportions_comes_back() {
    let state = State {
        level: -3.0,
        trend: -0.1,
        transient: 0.0,
        seasons: vec![Season { profile: vec![0.5, 1.5], position: 0 }],
    };
    let parameters = Parameters {
        level: 0.3,
        trend: 0.05,
        damping: 1.0,
        transient: 0.0,
        persistence: 0.0,
        seasonal: [0.1, 0.0],
    };
    let mut model = Model {
        form: Form::multiplicative(Trend::Additive, Seasonal::Multiplicative),
        parameters,
        state,
        unit: 1.0,
        variance: 0.01,
        criterion: 0.0,
        outliers: Outliers::default(),
    };
    for _ in 0..300 {
        model.update(&[0.5, 1.5]);
    }
    let means = model.forecast(2).mean;
    assert!((means[0] - 0.5).abs() < 0.2 && (means[1] - 1.5).abs() < 0.2, "{means:?}");
}
