use haggle_forecasting::check;

use crate::Theta;

#[test]
fn dirty_series_are_forecast() {
    check::assert_forecasts_dirty_series::<Theta>();
}

#[test]
fn a_model_goes_on_with_what_is_new() {
    check::assert_resumes::<Theta>();
}

#[test]
fn what_breaks_the_contract_is_refused() {
    check::assert_refuses::<Theta>();
}

#[test]
fn the_same_call_has_the_same_answer() {
    check::assert_repeatable::<Theta>();
}

#[test]
fn foreign_bytes_do_no_harm() {
    check::assert_survives_foreign_bytes::<Theta>();
}
