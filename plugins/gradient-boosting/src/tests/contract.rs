use haggle_forecasting::check;
use haggle_sdk::{Fault, types::Series};
use proptest::prelude::*;

use crate::GradientBoosting;

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => -100.0..100.0,
        2 => any::<f64>(),
        2 => Just(0.0),
        1 => Just(f64::NAN),
        1 => Just(f64::MAX),
        1 => Just(f64::MIN),
        1 => Just(5e-324),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn whatever_comes_the_forecast_is_sound(
        values in prop::collection::vec(any_value(), 0..150),
        seasons in prop::collection::vec(0_u32..40, 0..3),
        horizon in 1_u32..30,
        non_negative: bool,
    ) {
        let series = Series { non_negative, ..check::series(&values, 0) };
        for answer in check::forecasts::<GradientBoosting>(&[series], &seasons, horizon) {
            match answer {
                Ok(outlook) => check::assert_sound(&outlook, horizon as usize, non_negative),
                Err(Fault::InsufficientData(_)) => {
                    prop_assert!(!values.iter().any(|value| value.is_finite()));
                }
                Err(other) => prop_assert!(false, "{other:?}"),
            }
        }
    }
}

#[test]
fn dirty_series_have_sound_forecasts() {
    check::assert_forecasts_dirty_series::<GradientBoosting>();
}

#[test]
fn a_model_goes_on_with_what_is_new_whatever_the_window_repeats() {
    check::assert_resumes::<GradientBoosting>();
}

#[test]
fn what_breaks_the_contract_is_named() {
    check::assert_refuses::<GradientBoosting>();
}

#[test]
fn the_same_input_gives_the_same_bits() {
    check::assert_repeatable::<GradientBoosting>();
}

#[test]
fn foreign_bytes_are_refused_or_harmless() {
    check::assert_survives_foreign_bytes::<GradientBoosting>();
}
