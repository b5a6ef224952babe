//! What every forecaster must keep, as functions for its tests (feature `check`). Each panics, naming what
//! is broken, where the forecaster does not keep it.

use haggle_sdk::{
    Fault, Forecaster,
    forecasting::{Fitted, Outlook, Panel, Task},
    types::{Context, Series},
};

use crate::random::Random;

/// Levels that ask for more than the usual ones do.
pub const LEVELS: [f64; 4] = [0.1, 0.5, 0.8, 0.999];
const STEP: u64 = 3_600_000;

/// The context of every call.
#[must_use]
pub fn context() -> Context {
    Context { now: 0, seed: 0, configuration: "{}".into() }
}

/// Hourly values as a series, beginning so many hours after the epoch.
#[must_use]
pub fn series(values: &[f64], hours: u64) -> Series {
    let non_negative = values.iter().all(|value| value.is_nan() || *value >= 0.0);
    let values = values.to_vec();
    Series { id: format!("series {hours}"), start: hours * STEP, step: STEP, values, non_negative }
}

/// A day of 24 values with noise, a little trend and a louder day in seven.
#[must_use]
pub fn load(count: usize, seed: u64) -> Vec<f64> {
    let mut random = Random::new(seed);
    let at = |t: usize| {
        let day = (t as f64 / 24.0 * std::f64::consts::TAU).sin();
        let weekly = if (t / 24).is_multiple_of(7) { 1.3 } else { 1.0 };
        100.0 + 0.02 * t as f64 + 40.0 * weekly * day
    };
    (0..count).map(|t| at(t) + 3.0 * random.normal()).collect()
}

/// Series as they should not be, with what is wrong with them.
#[must_use]
pub fn dirty() -> Vec<(&'static str, Vec<f64>)> {
    let clean = load(400, 1);
    let changed = |change: &dyn Fn(usize, f64) -> f64| -> Vec<f64> {
        clean.iter().enumerate().map(|(t, value)| change(t, *value)).collect()
    };
    vec![
        ("nothing", vec![]),
        ("missing altogether", vec![f64::NAN; 50]),
        ("one value", vec![7.0]),
        ("three values", vec![7.0, 9.0, 8.0]),
        ("one value among missing ones", changed(&|t, v| if t == 200 { v } else { f64::NAN })),
        ("constant", vec![42.0; 300]),
        ("zeros", vec![0.0; 300]),
        ("zeros and one value", changed(&|t, _| f64::from(u8::from(t == 399)))),
        ("gaps", changed(&|t, v| if t % 3 == 0 || t / 50 == 4 { f64::NAN } else { v })),
        ("ends in a gap", changed(&|t, v| if t > 350 { f64::NAN } else { v })),
        ("begins with a gap", changed(&|t, v| if t < 200 { f64::NAN } else { v })),
        ("level shift", changed(&|t, v| if t > 300 { v + 5000.0 } else { v })),
        ("outliers", changed(&|t, v| if t % 97 == 5 { v * 1e6 } else { v })),
        ("infinite", changed(&|t, v| if t == 100 { f64::INFINITY } else { v })),
        ("a counter that resets", changed(&|t, _| (t % 70) as f64 * 1000.0)),
        ("mostly zero", changed(&|t, v| if t % 11 == 0 { v } else { 0.0 })),
        ("huge", changed(&|_, v| v * 1e300)),
        ("tiny", changed(&|_, v| v * 1e-300)),
        ("growing without bound", changed(&|t, _| 1.5_f64.powi(t as i32))),
        ("alternating", changed(&|t, _| if t % 2 == 0 { 0.0 } else { 1e9 })),
        ("below zero", changed(&|_, v| v - 1000.0)),
    ]
}

/// Fits a panel, gives every series its model and asks for forecasts.
///
/// # Panics
/// Where the whole fit fails, or answers are missing.
pub fn forecasts<F: Forecaster>(
    all: &[Series],
    seasons: &[u32],
    horizon: u32,
) -> Vec<Result<Outlook, Fault>> {
    let panel =
        Panel { series: all.to_vec(), horizon, seasons: seasons.to_vec(), events: Vec::new() };
    let fitted = fitted::<F>(&panel);
    let task = |(series, model): (&Series, Result<Vec<u8>, Fault>)| Task {
        series: series.clone(),
        model: model.ok(),
        horizon,
        levels: LEVELS.to_vec(),
    };
    let tasks: Vec<Task> = all.iter().zip(fitted.per_series).map(task).collect();
    let answers = F::forecast(&context(), fitted.shared.as_deref(), &tasks, &[]);
    assert_eq!(answers.len(), all.len(), "an answer for each task");
    answers
}

fn fitted<F: Forecaster>(panel: &Panel) -> Fitted {
    let fitted = F::fit(&context(), panel, None);
    assert!(fitted.is_ok(), "{fitted:?}");
    let fitted = fitted.unwrap_or(Fitted { shared: None, per_series: Vec::new() });
    assert_eq!(fitted.per_series.len(), panel.series.len(), "a model for each series");
    fitted
}

/// Every number is finite, intervals enclose the mean and each other, nothing is negative that must not be.
///
/// # Panics
/// Where that is not so.
pub fn assert_sound(outlook: &Outlook, horizon: usize, non_negative: bool) {
    let finite = |values: &[f64]| {
        assert_eq!(values.len(), horizon);
        assert!(values.iter().all(|v| v.is_finite() && (!non_negative || *v >= 0.0)), "{values:?}");
    };
    finite(&outlook.mean);
    assert!((0.0..=1.0).contains(&outlook.confidence), "{}", outlook.confidence);
    let (mut low, mut high) = (outlook.mean.clone(), outlook.mean.clone());
    for interval in &outlook.intervals {
        finite(&interval.lower);
        finite(&interval.upper);
        let outside = interval.lower.iter().zip(&low).all(|(outer, inner)| outer <= inner)
            && interval.upper.iter().zip(&high).all(|(outer, inner)| outer >= inner);
        assert!(outside, "{interval:?}");
        (low, high) = (interval.lower.clone(), interval.upper.clone());
    }
}

/// Every dirty series has a sound forecast; only where no value is present is there none, and a reason.
///
/// # Panics
/// Where that is not so.
pub fn assert_forecasts_dirty_series<F: Forecaster>() {
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

/// A model goes on with what is new to it, whatever else the window repeats.
///
/// # Panics
/// Where forecasts differ.
pub fn assert_resumes<F: Forecaster>() {
    let values = load(700, 2);
    let known = values.get(..600).unwrap_or_default();
    let panel =
        Panel { series: vec![series(known, 0)], horizon: 12, seasons: vec![24], events: vec![] };
    let mut fitted = fitted::<F>(&panel);
    let model = fitted.per_series.pop().and_then(Result::ok);
    let from = |first: usize| -> Vec<f64> {
        let window = series(values.get(first..).unwrap_or_default(), first as u64);
        let task = Task { series: window, model: model.clone(), horizon: 12, levels: vec![0.8] };
        let answer = F::forecast(&context(), fitted.shared.as_deref(), &[task], &[]).pop();
        assert!(matches!(answer, Some(Ok(_))), "{answer:?}");
        answer.and_then(Result::ok).map(|outlook| outlook.mean).unwrap_or_default()
    };
    assert_eq!(from(0), from(300), "an older window");
    assert_eq!(from(0), from(600), "only what is new");
    let truth = load(712, 2);
    let off = |t: usize, mean: &f64| (truth.get(t).copied().unwrap_or(0.0) - mean).abs();
    let off: f64 = from(0).iter().enumerate().map(|(h, mean)| off(700 + h, mean)).sum();
    assert!(off / 12.0 < 12.0, "the errors add up to {off}");
}

/// Models and tasks that break the contract, or do not belong together, are refused by name.
///
/// # Panics
/// Where an answer is not the fault it should be.
pub fn assert_refuses<F: Forecaster>() {
    let values = load(300, 3);
    let panel =
        Panel { series: vec![series(&values, 0)], horizon: 12, seasons: vec![24], events: vec![] };
    let mut fitted = fitted::<F>(&panel);
    let model = fitted.per_series.pop().and_then(Result::ok).unwrap_or_default();
    let shared = fitted.shared;
    let ask = |shared: Option<&[u8]>, series: Series, model: Option<&[u8]>, horizon, levels| {
        let task = Task { series, model: model.map(<[u8]>::to_vec), horizon, levels };
        F::forecast(&context(), shared, &[task], &[]).pop()
    };
    let whole = || series(&values, 0);
    let incompatible = |what: &str, series: Series, model: &[u8]| {
        let answer = ask(shared.as_deref(), series, Some(model), 12, vec![0.8]);
        assert!(matches!(answer, Some(Err(Fault::IncompatibleModel(_)))), "{what}: {answer:?}");
    };
    let early = values.get(..100).unwrap_or_default();
    incompatible("a window that ends before the model", series(early, 0), &model);
    incompatible("a window long after", series(&values, 100_000), &model);
    incompatible("another step", Series { step: 2 * STEP, ..whole() }, &model);
    incompatible("other bytes", whole(), b"XXXX\x01 and more");
    incompatible("bytes that end early", whole(), model.get(..model.len() - 1).unwrap_or_default());
    incompatible("bytes and more", whole(), &[model.as_slice(), &[0]].concat());
    let invalid = |what: &str, series: Series, horizon, levels| {
        let answer = ask(shared.as_deref(), series, None, horizon, levels);
        assert!(matches!(answer, Some(Err(Fault::InvalidInput(_)))), "{what}: {answer:?}");
    };
    invalid("no steps", whole(), 0, vec![0.8]);
    invalid("too many steps", whole(), u32::MAX, vec![0.8]);
    invalid("a level of 1", whole(), 3, vec![1.0]);
    invalid("a level that is none", whole(), 3, vec![f64::NAN]);
    invalid("levels that fall", whole(), 3, vec![0.9, 0.8]);
    invalid("a step of 0", Series { step: 0, ..whole() }, 3, vec![0.8]);
    for model in [None, Some(&[][..])] {
        let answer = ask(shared.as_deref(), whole(), model, 3, vec![]);
        assert!(matches!(answer, Some(Ok(_))), "without a model: {answer:?}");
    }
}

/// The same call gives the same bits.
///
/// # Panics
/// Where it does not.
pub fn assert_repeatable<F: Forecaster>() {
    let all: Vec<Series> = (0..4).map(|seed| series(&load(400, seed), seed)).collect();
    let panel = Panel { series: all.clone(), horizon: 24, seasons: vec![24], events: vec![] };
    let (one, other) = (fitted::<F>(&panel), fitted::<F>(&panel));
    assert_eq!(one.shared, other.shared);
    for (one, other) in one.per_series.iter().zip(&other.per_series) {
        assert_eq!(one.as_ref().ok(), other.as_ref().ok());
    }
    let bits = || -> Vec<u64> {
        let answers = forecasts::<F>(&all, &[24], 24);
        let means = answers.into_iter().flatten().flat_map(|outlook| outlook.mean);
        means.map(f64::to_bits).collect()
    };
    assert_eq!(bits(), bits());
}

/// A model with one byte changed is refused or harmless.
///
/// # Panics
/// Where what comes of it is not sound.
pub fn assert_survives_foreign_bytes<F: Forecaster>() {
    let values = load(120, 5);
    let panel =
        Panel { series: vec![series(&values, 0)], horizon: 6, seasons: vec![24], events: vec![] };
    let mut fitted = fitted::<F>(&panel);
    let model = fitted.per_series.pop().and_then(Result::ok).unwrap_or_default();
    let later = load(130, 5);
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
        let series = series(&later, 0);
        let task = Task { series, model: Some(model), horizon: 8, levels: LEVELS.to_vec() };
        match F::forecast(&context(), shared.as_deref(), &[task], &[]).pop() {
            Some(Ok(outlook)) => assert_sound(&outlook, 8, true),
            Some(Err(Fault::IncompatibleModel(_))) => {}
            other => assert!(other.is_none(), "{other:?}"),
        }
    }
}
