use haggle_forecasting::check;

use crate::Arima;

#[test]
fn dirty_series_are_forecast() {
    check::assert_forecasts_dirty_series::<Arima>();
}

#[test]
fn a_model_goes_on_with_what_is_new() {
    check::assert_resumes::<Arima>();
}

#[test]
fn what_breaks_the_contract_is_refused() {
    check::assert_refuses::<Arima>();
}

#[test]
fn the_same_call_has_the_same_answer() {
    check::assert_repeatable::<Arima>();
}

#[test]
fn foreign_bytes_do_no_harm() {
    check::assert_survives_foreign_bytes::<Arima>();
}
