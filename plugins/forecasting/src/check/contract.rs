//! Requirements of every forecasting plugin.

use haggle_sdk::{
    Fault, Forecasting,
    forecasting::{Fitted, Outlook, Panel, Task},
    types::Series,
};
use proptest::prelude::*;

use super::{
    inputs::{LEVELS, any_values, context, dirty, load, series},
    sound::assert_sound,
};
use crate::{calendar::HOUR, random::Random};

/// The tests of a plugin, one for each of these functions.
#[macro_export]
macro_rules! contract_tests {
    ($plugin:ty) => {
        #[test]
        fn whatever_comes_the_forecast_is_sound() {
            $crate::check::assert_forecasts_anything::<$plugin>();
        }

        #[test]
        fn dirty_series_have_sound_forecasts() {
            $crate::check::assert_forecasts_dirty_series::<$plugin>();
        }

        #[test]
        fn a_model_goes_on_with_what_is_new_whatever_the_window_repeats() {
            $crate::check::assert_resumes::<$plugin>();
        }

        #[test]
        fn what_breaks_the_contract_is_named() {
            $crate::check::assert_refuses::<$plugin>();
        }

        #[test]
        fn the_same_input_gives_the_same_bits() {
            $crate::check::assert_repeatable::<$plugin>();
        }

        #[test]
        fn foreign_bytes_are_refused_or_harmless() {
            $crate::check::assert_survives_foreign_bytes::<$plugin>();
        }
    };
}

/// Fits a panel, gives every series its model and asks for forecasts.
///
/// # Panics
/// If the whole fit fails, or if answers are missing.
pub fn forecasts<F: Forecasting>(
    all: &[Series],
    seasons: &[u32],
    horizon: u32,
) -> Vec<Result<Outlook, Fault>> {
    let fitted = fitted::<F>(&panel(all.to_vec(), horizon, seasons));
    let task = |(series, model): (&Series, Result<Vec<u8>, Fault>)| Task {
        series: series.clone(),
        model: model.ok(),
        horizon_steps: horizon,
        seasons_steps: seasons.to_vec(),
        levels: LEVELS.to_vec(),
    };
    let tasks: Vec<Task> = all.iter().zip(fitted.models).map(task).collect();
    let answers = F::forecast(&context(), fitted.shared.as_deref(), &tasks, &[]);
    assert_eq!(answers.len(), all.len(), "an answer for each task");
    answers
}

fn panel(series: Vec<Series>, horizon: u32, seasons: &[u32]) -> Panel {
    Panel { series, horizon_steps: horizon, seasons_steps: seasons.to_vec(), events: Vec::new() }
}

fn task(series: Series, model: Option<Vec<u8>>, horizon: u32, levels: &[f64]) -> Task {
    let (horizon_steps, levels) = (horizon, levels.to_vec());
    Task { series, model, horizon_steps, seasons_steps: Vec::new(), levels }
}

fn fitted<F: Forecasting>(panel: &Panel) -> Fitted {
    let fitted = F::fit(&context(), panel, None);
    assert!(fitted.is_ok(), "{fitted:?}");
    let none = Fitted { shared: None, models: Vec::new(), lookback_steps: None };
    let fitted = fitted.unwrap_or(none);
    assert_eq!(fitted.models.len(), panel.series.len(), "a model for each series");
    fitted
}

/// A series with at least one value gets a sound forecast, for any values and any given seasons.
///
/// # Panics
/// If that does not hold.
pub fn assert_forecasts_anything<F: Forecasting>() {
    let seasons = prop::collection::vec(0_u32..40, 0..3);
    proptest!(
        ProptestConfig::with_cases(150),
        |(values in any_values(0..150), seasons in seasons, horizon in 1_u32..30, non_negative: bool)| {
            let series = Series { non_negative, ..series(&values, 0) };
            for answer in forecasts::<F>(&[series], &seasons, horizon) {
                match answer {
                    Ok(outlook) => assert_sound(&outlook, horizon as usize, non_negative),
                    Err(Fault::InsufficientData(_)) => {
                        prop_assert!(!values.iter().any(|value| value.is_finite()));
                    }
                    Err(other) => prop_assert!(false, "{other:?}"),
                }
            }
        }
    );
}

/// Every dirty series gets a sound forecast; a series without any value gets a fault with a reason.
///
/// # Panics
/// If that does not hold.
pub fn assert_forecasts_dirty_series<F: Forecasting>() {
    let dirty = dirty();
    let all: Vec<Series> =
        dirty.iter().enumerate().map(|(hours, (_, v))| series(v, hours as u64)).collect();
    for seasons in [&[24][..], &[]] {
        let answers = forecasts::<F>(&all, seasons, 12);
        for ((what, values), (series, answer)) in dirty.iter().zip(all.iter().zip(answers)) {
            match answer {
                Ok(outlook) => assert_sound(&outlook, 12, series.non_negative),
                Err(fault) => {
                    assert!(matches!(fault, Fault::InsufficientData(_)), "{what}: {fault:?}");
                    assert!(!values.iter().any(|value| value.is_finite()), "{what}: {fault:?}");
                }
            }
        }
    }
}

/// A model resumes with the values that are new to it, whatever older values the window repeats.
///
/// # Panics
/// Where forecasts differ.
pub fn assert_resumes<F: Forecasting>() {
    let values = load(700, 2);
    let known = values.get(..600).unwrap_or_default();
    let mut fitted = fitted::<F>(&panel(vec![series(known, 0)], 12, &[24]));
    let model = fitted.models.pop().and_then(Result::ok);
    let from = |first: usize| -> Vec<f64> {
        let window = series(values.get(first..).unwrap_or_default(), first as u64);
        let task = task(window, model.clone(), 12, &[0.8]);
        let answer = F::forecast(&context(), fitted.shared.as_deref(), &[task], &[]).pop();
        assert!(matches!(answer, Some(Ok(_))), "{answer:?}");
        answer.and_then(Result::ok).map(|outlook| outlook.mean).unwrap_or_default()
    };
    assert_eq!(from(0), from(300), "an older window");
    assert_eq!(from(0), from(600), "only what is new");
    assert_eq!(fitted.lookback_steps, Some(0), "and says that this is enough");
    let truth = load(712, 2);
    let off = |t: usize, mean: &f64| (truth.get(t).copied().unwrap_or(0.0) - mean).abs();
    let off: f64 = from(0).iter().enumerate().map(|(h, mean)| off(700 + h, mean)).sum();
    assert!(off / 12.0 < 12.0, "the errors add up to {off}");
}

/// Models and tasks that break the contract, or do not belong together, are refused with the right fault.
///
/// # Panics
/// Where an answer is not the fault it should be.
pub fn assert_refuses<F: Forecasting>() {
    let values = load(300, 3);
    let mut fitted = fitted::<F>(&panel(vec![series(&values, 0)], 12, &[24]));
    let model = fitted.models.pop().and_then(Result::ok).unwrap_or_default();
    let shared = fitted.shared;
    let ask =
        |shared: Option<&[u8]>, series: Series, model: Option<&[u8]>, horizon, levels: &[_]| {
            let task = task(series, model.map(<[u8]>::to_vec), horizon, levels);
            F::forecast(&context(), shared, &[task], &[]).pop()
        };
    let whole = || series(&values, 0);
    let incompatible = |what: &str, series: Series, model: &[u8]| {
        let answer = ask(shared.as_deref(), series, Some(model), 12, &[0.8]);
        assert!(matches!(answer, Some(Err(Fault::IncompatibleModel(_)))), "{what}: {answer:?}");
    };
    let early = values.get(..100).unwrap_or_default();
    incompatible("a window that ends before the model", series(early, 0), &model);
    incompatible("a window long after", series(&values, 100_000), &model);
    incompatible("another step", Series { step_ms: 2 * HOUR, ..whole() }, &model);
    incompatible("other bytes", whole(), b"XXXX\x01 and more");
    incompatible("bytes that end early", whole(), model.get(..model.len() - 1).unwrap_or_default());
    incompatible("bytes and more", whole(), &[model.as_slice(), &[0]].concat());
    let invalid = |what: &str, series: Series, horizon, levels: &[_]| {
        let answer = ask(shared.as_deref(), series, None, horizon, levels);
        assert!(matches!(answer, Some(Err(Fault::InvalidInput(_)))), "{what}: {answer:?}");
    };
    invalid("no steps", whole(), 0, &[0.8]);
    invalid("too many steps", whole(), u32::MAX, &[0.8]);
    invalid("a level of 1", whole(), 3, &[1.0]);
    invalid("a level that is none", whole(), 3, &[f64::NAN]);
    invalid("levels that fall", whole(), 3, &[0.9, 0.8]);
    invalid("a step of 0", Series { step_ms: 0, ..whole() }, 3, &[0.8]);
    for model in [None, Some(&[][..])] {
        let answer = ask(shared.as_deref(), whole(), model, 3, &[]);
        assert!(matches!(answer, Some(Ok(_))), "without a model: {answer:?}");
    }
}

/// The same call gives the same bits.
///
/// # Panics
/// If it does not.
pub fn assert_repeatable<F: Forecasting>() {
    let all: Vec<Series> = (0..4).map(|seed| series(&load(400, seed), seed)).collect();
    let panel = panel(all.clone(), 24, &[24]);
    let (one, other) = (fitted::<F>(&panel), fitted::<F>(&panel));
    assert_eq!(one.shared, other.shared);
    for (one, other) in one.models.iter().zip(&other.models) {
        assert_eq!(one.as_ref().ok(), other.as_ref().ok());
    }
    let bits = || -> Vec<u64> {
        let answers = forecasts::<F>(&all, &[24], 24);
        let means = answers.into_iter().flatten().flat_map(|outlook| outlook.mean);
        means.map(f64::to_bits).collect()
    };
    assert_eq!(bits(), bits());
}

/// A model that ends early is refused; one with a byte changed is refused or harmless.
///
/// # Panics
/// If the forecast from a changed model is not sound.
pub fn assert_survives_foreign_bytes<F: Forecasting>() {
    let values = load(120, 5);
    let mut fitted = fitted::<F>(&panel(vec![series(&values, 0)], 6, &[24]));
    let model = fitted.models.pop().and_then(Result::ok).unwrap_or_default();
    let later = load(130, 5);
    for cut in 1..model.len() {
        let model = model.get(..cut).map(<[u8]>::to_vec);
        let task = task(series(&later, 0), model, 8, &LEVELS);
        let answer = F::forecast(&context(), fitted.shared.as_deref(), &[task], &[]).pop();
        assert!(
            matches!(answer, Some(Err(Fault::IncompatibleModel(_)))),
            "{cut} bytes: {answer:?}"
        );
    }
    let mut random = Random::new(6);
    for _ in 0..3000 {
        let (mut model, mut shared) = (model.clone(), fitted.shared.clone());
        let spoilt = match &mut shared {
            Some(shared) if random.below(3) == 0 => shared,
            _ => &mut model,
        };
        let place = random.below(spoilt.len());
        if let Some(byte) = spoilt.get_mut(place) {
            *byte = random.below(256) as u8;
        }
        let task = task(series(&later, 0), Some(model), 8, &LEVELS);
        match F::forecast(&context(), shared.as_deref(), &[task], &[]).pop() {
            Some(Ok(outlook)) => assert_sound(&outlook, 8, true),
            Some(Err(Fault::IncompatibleModel(_))) => {}
            other => assert!(other.is_none(), "{other:?}"),
        }
    }
}
