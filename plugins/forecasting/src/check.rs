//! Requirements that every forecaster must meet, as functions for its tests (feature `check`), and series for them.
//! The function of a requirement panics and names the violation if the forecaster does not meet it.
//! [`contract_tests`](crate::contract_tests) and [`method_tests`](crate::method_tests) turn the functions into
//! tests.

mod contract;
mod inputs;
mod method;
mod sound;

pub use contract::{
    assert_forecasts_anything, assert_forecasts_dirty_series, assert_refuses, assert_repeatable,
    assert_resumes, assert_survives_foreign_bytes, forecasts,
};
pub use inputs::{AIR_PASSENGERS, LAKE_HURON, LEVELS, any_values, context, dirty, load, series};
pub use method::{
    assert_covers, assert_follows_level_and_season, assert_forecasts_short_series,
    assert_goes_on_after_anything, assert_ignores_an_outlier, assert_ignores_magnitude,
    assert_same_by_pieces, assert_small, assert_stays,
};
pub use sound::{assert_sound, assert_within_reach};
