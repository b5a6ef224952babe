//! Requirements of every method, from the history to the forecast.

use std::{f64::consts::TAU, fmt::Debug};

use proptest::prelude::*;

use super::{
    inputs::{LEVELS, any_values},
    sound::{assert_sound, assert_within_reach},
};
use crate::{
    calendar::HOUR,
    history::History,
    method::{Clock, Method, Setting},
    model::Model,
    prepare::Prepared,
    random::Random,
    statistics::mean,
};

/// The tests of a method, one for each of these functions; or only those that are named after it.
#[macro_export]
macro_rules! method_tests {
    ($method:ty) => {
        $crate::method_tests!(
            $method: goes_on, stays, follows, outlier, short, magnitude, pieces, covers, small
        );
    };
    ($method:ty: $($test:ident),+) => {
        $($crate::method_test!($test $method);)+
    };
}

/// One of the tests of a method.
#[macro_export]
macro_rules! method_test {
    (goes_on $method:ty) => {
        #[test]
        fn whatever_follows_a_model_goes_on_soundly() {
            $crate::check::assert_goes_on_after_anything::<$method>();
        }
    };
    (stays $method:ty) => {
        #[test]
        fn nothing_drives_a_model_away() {
            $crate::check::assert_stays::<$method>();
        }
    };
    (follows $method:ty) => {
        #[test]
        fn level_and_season_are_followed_through_dirt() {
            $crate::check::assert_follows_level_and_season::<$method>();
        }
    };
    (outlier $method:ty) => {
        #[test]
        fn an_outlier_is_not_followed() {
            $crate::check::assert_ignores_an_outlier::<$method>();
        }
    };
    (short $method:ty) => {
        #[test]
        fn short_and_dull_series_have_plausible_forecasts() {
            $crate::check::assert_forecasts_short_series::<$method>();
        }
    };
    (magnitude $method:ty) => {
        #[test]
        fn magnitude_does_not_matter() {
            $crate::check::assert_ignores_magnitude::<$method>();
        }
    };
    (pieces $method:ty) => {
        #[test]
        fn going_on_is_running_over_all() {
            $crate::check::assert_same_by_pieces::<$method>();
        }
    };
    (covers $method:ty) => {
        #[test]
        fn intervals_cover_what_they_say() {
            $crate::check::assert_covers::<$method>();
        }
    };
    (small $method:ty) => {
        #[test]
        fn models_are_small() {
            $crate::check::assert_small::<$method>();
        }
    };
}

/// The largest distance of a mean from the observed values, in multiples of their range: a line through two values
/// goes that far in some steps.
const MOST_RANGES: f64 = 60.0;

fn history(values: &[f64], hours: usize) -> History<'_> {
    History { values, start: hours as u64 * HOUR, step: HOUR }
}

/// A model of these values; none if no value is present.
fn fit<M: Method>(values: &[f64], seasons: &[u32], horizon: u32) -> Option<Model<M>> {
    let model = Model::fit(history(values, 0), seasons, horizon, &[]);
    assert_eq!(model.is_some(), values.iter().any(|value| value.is_finite()), "{values:?}");
    model
}

/// The means of the forecast after these values.
fn means<M: Method>(values: &[f64], seasons: &[u32], horizon: u32) -> Vec<f64> {
    let outlook = fit::<M>(values, seasons, horizon)
        .map(|model| model.outlook(horizon, &LEVELS, true, &[]))
        .inspect(|outlook| assert_sound(outlook, horizon as usize, true));
    outlook.map(|outlook| outlook.mean).unwrap_or_default()
}

/// Hourly values with an additive daily season, noise, and a level that shifts at `shift_at`.
fn daily(count: usize, shift_at: usize) -> Vec<f64> {
    let mut random = Random::new(11);
    let level = |t: usize| if t < shift_at { 100.0 } else { 300.0 };
    let day = |t: usize| 20.0 * (TAU * t as f64 / 24.0).sin();
    (0..count).map(|t| level(t) + day(t) + random.normal()).collect()
}

/// For any history, any later values and any gap between them: the model can be written and read, and its forecasts
/// are sound.
///
/// # Panics
/// If that does not hold.
pub fn assert_goes_on_after_anything<M: Method>() {
    let seasons = prop::collection::vec(0_u32..40, 0..3);
    proptest!(
        ProptestConfig::with_cases(100),
        |(
            values in any_values(0..120),
            later in any_values(0..60),
            gap in prop_oneof![Just(0), 0_usize..200],
            seasons in seasons,
            horizon in 1_u32..30,
        )| {
            let Some(model) = fit::<M>(&values, &seasons, horizon) else { return Ok(()) };
            assert_sound(&model.outlook(horizon, &LEVELS, true, &[]), horizon as usize, true);
            let read = Model::<M>::from_bytes(&model.to_bytes());
            prop_assert!(read.is_ok());
            let Ok(mut model) = read else { return Ok(()) };
            let _ = model.resume(history(&later, values.len() + gap), &[]);
            let outlook = model.outlook(horizon, &LEVELS, true, &[]);
            assert_sound(&outlook, horizon as usize, true);
            assert_within_reach(&outlook.mean, values.iter().chain(&later), MOST_RANGES, ());
            prop_assert!(Model::<M>::from_bytes(&model.to_bytes()).is_ok());
        }
    );
}

/// Series that jump between extremes, during the fit or after it, do not make a model diverge from them.
///
/// # Panics
/// If that does not hold.
pub fn assert_stays<M: Method>() {
    let day = daily(400, usize::MAX);
    let changed = |change: &dyn Fn(usize, f64) -> f64| -> Vec<f64> {
        day.iter().enumerate().map(|(t, value)| change(t, *value)).collect()
    };
    let all = [
        ("two thirds missing", changed(&|t, v| if t % 3 == 0 { v } else { f64::NAN })),
        ("a counter that resets", changed(&|t, _| (t % 70) as f64 * 1000.0)),
        ("a counter that resets once", changed(&|t, _| (t % 345) as f64 * 1000.0)),
        (
            "alternating from then on",
            changed(&|t, v| if t < 340 { v } else { v + 1e4 - 2e4 * (t % 2) as f64 }),
        ),
        (
            "alternating more and more",
            changed(&|t, v| v * (1.0 + (t as f64 / 40.0).powi(t as i32 % 2 * 3))),
        ),
    ];
    for (name, values) in &all {
        for (known, seasons) in [(400, &[24][..]), (400, &[]), (340, &[24]), (340, &[])] {
            let (known, later) = values.split_at(known);
            let Some(mut model) = fit::<M>(known, seasons, 12) else { continue };
            assert!(model.resume(history(later, known.len()), &[]));
            let outlook = model.outlook(12, &[0.95], false, &[]);
            assert_sound(&outlook, 12, false);
            assert_within_reach(&outlook.mean, values.iter(), 3.0, (name, seasons));
            for interval in &outlook.intervals {
                let bounds = interval.bounds.iter().flat_map(|bounds| [bounds.lower, bounds.upper]);
                let bounds: Vec<f64> = bounds.collect();
                assert_within_reach(&bounds, values.iter(), 100.0, name);
            }
        }
    }
}

/// The forecast of a daily load with gaps, or after a shift, continues the load.
///
/// # Panics
/// If that does not hold.
pub fn assert_follows_level_and_season<M: Method>() {
    let mut gaps = daily(480, usize::MAX);
    gaps.iter_mut().skip(100).step_by(5).for_each(|v| *v = f64::NAN);
    gaps.iter_mut().skip(300).take(30).for_each(|v| *v = f64::NAN);
    let mut late = daily(480, usize::MAX);
    late.iter_mut().skip(400).take(30).for_each(|v| *v = f64::NAN);
    assert_goes_on::<M>("gaps", &gaps);
    assert_goes_on::<M>("a late gap", &late);
    let middle = mean(means::<M>(&daily(480, 400), &[24], 24).into_iter());
    assert!((middle - 300.0).abs() < 40.0, "{middle}");
}

/// The forecast of a daily load with an outlier near its end ignores the outlier.
///
/// # Panics
/// If that does not hold.
pub fn assert_ignores_an_outlier<M: Method>() {
    let mut outlier = daily(480, usize::MAX);
    outlier.iter_mut().skip(470).take(1).for_each(|v| *v = 20_000.0);
    assert_goes_on::<M>("an outlier", &outlier);
}

/// The forecast continues twenty days of [`daily`], with and without a given season.
fn assert_goes_on<M: Method>(name: &str, values: &[f64]) {
    let whole = daily(528, usize::MAX);
    for seasons in [&[24][..], &[]] {
        let means = means::<M>(values, seasons, 48);
        for (h, (mean, came)) in means.iter().zip(whole.iter().skip(480)).enumerate() {
            let off = (mean - came).abs();
            assert!(off < 10.0, "{name}, {seasons:?}, step {h}: {mean} for {came}");
        }
    }
}

/// A few values, zeros and constants have forecasts near the last values. A history without any value has no model.
///
/// # Panics
/// If that does not hold.
pub fn assert_forecasts_short_series<M: Method>() {
    for values in [vec![7.0], vec![7.0, 9.0], vec![3.0, 4.0, 5.0], vec![0.0; 40], vec![5.0; 200]] {
        let means = means::<M>(&values, &[], 6);
        let first = values.first().copied().unwrap_or(0.0);
        let last = values.last().copied().unwrap_or(0.0);
        let plausible = (first.min(last) - 1e-6)..=(last + 6.0);
        assert!(means.iter().all(|mean| plausible.contains(mean)), "{values:?}: {means:?}");
    }
    assert!(fit::<M>(&[f64::NAN; 9], &[], 3).is_none());
}

/// The forecast does not depend on the unit of the values.
///
/// # Panics
/// If that does not hold.
pub fn assert_ignores_magnitude<M: Method>() {
    let base = daily(240, usize::MAX);
    let usual = means::<M>(&base, &[24], 6);
    for unit in [1e-250, 1e-9, 1e12, 1e250] {
        let scaled: Vec<f64> = base.iter().map(|value| value * unit).collect();
        for (a, b) in usual.iter().zip(means::<M>(&scaled, &[24], 6)) {
            assert!((a - b / unit).abs() < 1e-3, "{a} is not {b} / {unit}");
        }
    }
}

/// Updates value by value give the same state as one update with all values.
///
/// # Panics
/// If that does not hold.
pub fn assert_same_by_pieces<M: Method + Debug + PartialEq>() {
    let values = daily(400, usize::MAX);
    let whole = Prepared::of(history(&values, 0), 24);
    assert!(whole.is_some());
    let Some(whole) = whole else { return };
    let method = M::fit(&whole, &Setting { seasons: &[24], horizon: 12, events: &[] });
    let clock = Clock { start: 0, step: HOUR, events: &[] };
    let (mut once, from) = method.rewind(&whole);
    let (mut often, mut told) = (once.clone(), once.clone());
    once.update(whole.values.get(from..).unwrap_or_default(), &clock.after(from));
    let mut expected = Vec::new();
    for (place, value) in whole.values.iter().enumerate().skip(from) {
        let (clock, mut one) = (clock.after(place), [0.0]);
        often.expect(&clock, &mut one);
        often.update(&[*value], &clock);
        expected.extend(one);
    }
    assert_eq!(once, often);
    let advanced = told.advance(whole.values.get(from..).unwrap_or_default(), &clock.after(from));
    assert_eq!(told, often);
    assert_eq!(advanced, expected);
    let (mut a, mut b) = ([0.0; 12], [0.0; 12]);
    once.expect(&clock.after(400), &mut a);
    method.expect(&clock.after(400), &mut b);
    // The final state hardly depends on the initial one, except for the profiles.
    assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 0.3), "{a:?} {b:?}");
}

/// The share of values inside the intervals is about their level, on series that no method's own model generated.
///
/// # Panics
/// If that does not hold.
pub fn assert_covers<M: Method>() {
    let (mut inside, mut all) = ([0.0; 2], 0.0);
    for seed in 0..24 {
        let mut random = Random::new(seed);
        let mut level = 50.0;
        let values: Vec<f64> = (0..312)
            .map(|t| {
                level += 0.3 * random.normal();
                level + 8.0 * (TAU * f64::from(t) / 12.0).sin() + random.normal()
            })
            .collect();
        let (known, came) = values.split_at(300);
        let model = fit::<M>(known, &[12], 12);
        let intervals = model.map(|model| model.outlook(12, &[0.8, 0.95], true, &[]).intervals);
        for (inside, interval) in inside.iter_mut().zip(intervals.unwrap_or_default()) {
            let within = came.iter().zip(&interval.bounds);
            let within = within.filter(|(v, bounds)| bounds.lower <= **v && **v <= bounds.upper);
            *inside += within.count() as f64;
        }
        all += came.len() as f64;
    }
    let [eighty, most] = inside.map(|inside| inside / all);
    assert!((0.7..0.9).contains(&eighty) && (0.89..0.99).contains(&most), "{eighty} {most}");
}

/// Forty days of hourly values give a model of less than 2 KiB.
///
/// # Panics
/// If that does not hold.
pub fn assert_small<M: Method>() {
    let bytes =
        fit::<M>(&daily(960, usize::MAX), &[24], 48).map_or(0, |model| model.to_bytes().len());
    assert!((1..2048).contains(&bytes), "{bytes}");
}
