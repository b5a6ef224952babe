//! What every method must keep on its way from a history to a forecast.

use std::{f64::consts::TAU, fmt::Debug};

use proptest::prelude::*;

use super::{
    inputs::{LEVELS, any_values},
    sound::assert_sound,
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

/// The tests of a method, one for each of these functions.
#[macro_export]
macro_rules! method_tests {
    ($method:ty) => {
        #[test]
        fn whatever_follows_a_model_goes_on_soundly() {
            $crate::check::assert_goes_on_after_anything::<$method>();
        }

        #[test]
        fn level_and_season_are_followed_through_dirt() {
            $crate::check::assert_follows_level_and_season::<$method>();
        }

        #[test]
        fn short_and_dull_series_have_plausible_forecasts() {
            $crate::check::assert_forecasts_short_series::<$method>();
        }

        #[test]
        fn magnitude_does_not_matter() {
            $crate::check::assert_ignores_magnitude::<$method>();
        }

        #[test]
        fn going_on_is_running_over_all() {
            $crate::check::assert_same_by_pieces::<$method>();
        }

        #[test]
        fn intervals_cover_what_they_say() {
            $crate::check::assert_covers::<$method>();
        }

        #[test]
        fn models_are_small() {
            $crate::check::assert_small::<$method>();
        }
    };
}

fn history(values: &[f64], hours: usize) -> History<'_> {
    History { values, start: hours as u64 * HOUR, step: HOUR }
}

/// A model of these values, of which one at least is present.
fn fit<M: Method>(values: &[f64], seasons: &[u32], horizon: u32) -> Option<Model<M>> {
    let model = Model::fit(history(values, 0), seasons, horizon, &[]);
    assert_eq!(model.is_some(), values.iter().any(|value| value.is_finite()), "{values:?}");
    model
}

/// What is expected after these values.
fn means<M: Method>(values: &[f64], seasons: &[u32], horizon: u32) -> Vec<f64> {
    let outlook = fit::<M>(values, seasons, horizon)
        .map(|model| model.outlook(horizon, &LEVELS, true, &[]))
        .inspect(|outlook| assert_sound(outlook, horizon as usize, true));
    outlook.map(|outlook| outlook.mean).unwrap_or_default()
}

/// Days of hours with a season of amounts, noise, and a level that may shift.
fn daily(count: usize, shift_at: usize) -> Vec<f64> {
    let mut random = Random::new(11);
    let level = |t: usize| if t < shift_at { 100.0 } else { 300.0 };
    let day = |t: usize| 20.0 * (TAU * t as f64 / 24.0).sin();
    (0..count).map(|t| level(t) + day(t) + random.normal()).collect()
}

/// Whatever a model was fitted to, and whatever follows it, wherever that begins: it survives as bytes, and
/// its forecasts are sound.
///
/// # Panics
/// Where that is not so.
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
            assert_sound(&model.outlook(horizon, &LEVELS, true, &[]), horizon as usize, true);
            prop_assert!(Model::<M>::from_bytes(&model.to_bytes()).is_ok());
        }
    );
}

/// A daily load with gaps, with an outlier or after a shift is forecast as it goes on.
///
/// # Panics
/// Where that is not so.
pub fn assert_follows_level_and_season<M: Method>() {
    let mut gaps = daily(480, usize::MAX);
    gaps.iter_mut().skip(100).step_by(5).for_each(|v| *v = f64::NAN);
    gaps.iter_mut().skip(300).take(30).for_each(|v| *v = f64::NAN);
    let mut outlier = daily(480, usize::MAX);
    outlier.iter_mut().skip(470).take(1).for_each(|v| *v = 20_000.0);
    let clean = daily(528, usize::MAX);
    for (name, values) in [("gaps", gaps), ("outlier", outlier)] {
        for (h, (mean, came)) in
            means::<M>(&values, &[24], 48).iter().zip(clean.iter().skip(480)).enumerate()
        {
            assert!((mean - came).abs() < 10.0, "{name}, step {h}: {mean} for {came}");
        }
    }
    let middle = mean(means::<M>(&daily(480, 400), &[24], 24).into_iter());
    assert!((middle - 300.0).abs() < 40.0, "{middle}");
}

/// A few values, zeros and constants have forecasts near the last values; no value has none.
///
/// # Panics
/// Where that is not so.
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

/// In another unit, the same.
///
/// # Panics
/// Where that is not so.
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

/// Going on value by value is the same as running the same parameters over all values at once.
///
/// # Panics
/// Where that is not so.
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
    // The state at the end hardly remembers how it began, but for the profiles.
    assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 0.3), "{a:?} {b:?}");
}

/// The share of values inside the intervals is about what they say, on series that are none of the method's
/// own.
///
/// # Panics
/// Where that is not so.
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
            let bounds = interval.lower.iter().zip(&interval.upper);
            *inside += came
                .iter()
                .zip(bounds)
                .filter(|(v, (low, high))| *low <= *v && *v <= *high)
                .count() as f64;
        }
        all += came.len() as f64;
    }
    let [eighty, most] = inside.map(|inside| inside / all);
    assert!((0.7..0.9).contains(&eighty) && (0.89..0.99).contains(&most), "{eighty} {most}");
}

/// Forty days of hours make a model of less than 2 KiB.
///
/// # Panics
/// Where that is not so.
pub fn assert_small<M: Method>() {
    let bytes =
        fit::<M>(&daily(960, usize::MAX), &[24], 48).map_or(0, |model| model.to_bytes().len());
    assert!((1..2048).contains(&bytes), "{bytes}");
}
