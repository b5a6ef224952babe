use haggle_forecasting::{Clock, History, Method, Model, Prepared, Setting};
use haggle_sdk::forecasting::Outlook;
use proptest::prelude::*;

use crate::{SeasonalArima, tests::Noise};

const LEVELS: [f64; 3] = [0.5, 0.8, 0.95];

fn fit(values: &[f64], seasons: &[u32], horizon: u32) -> Option<Model<SeasonalArima>> {
    Model::fit(History { values, start: 0, step: 60_000 }, seasons, horizon, &[])
}

fn assert_sound(outlook: &Outlook, horizon: usize) {
    let finite = |values: &[f64]| {
        assert_eq!(values.len(), horizon);
        assert!(values.iter().all(|v| v.is_finite() && *v >= 0.0), "{values:?}");
    };
    finite(&outlook.mean);
    assert!((0.0..=1.0).contains(&outlook.confidence));
    let mut inner = (outlook.mean.clone(), outlook.mean.clone());
    for interval in &outlook.intervals {
        finite(&interval.lower);
        finite(&interval.upper);
        for h in 0..horizon {
            assert!(interval.lower[h] <= inner.0[h] && inner.1[h] <= interval.upper[h]);
        }
        inner = (interval.lower.clone(), interval.upper.clone());
    }
}

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => 0.0..100.0,
        2 => any::<f64>(),
        2 => Just(0.0),
        2 => Just(f64::NAN),
        1 => Just(f64::MAX),
        1 => Just(f64::MIN),
        1 => Just(5e-324),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn whatever_comes_the_forecast_is_sound(
        values in prop::collection::vec(any_value(), 0..120),
        later in prop::collection::vec(any_value(), 0..40),
        seasons in prop::collection::vec(2_u32..30, 0..3),
        horizon in 1_u32..30,
    ) {
        let Some(model) = fit(&values, &seasons, horizon) else {
            prop_assert!(!values.iter().any(|v| v.is_finite()));
            return Ok(());
        };
        assert_sound(&model.outlook(horizon, &LEVELS, true, &[]), horizon as usize);
        let mut model = Model::<SeasonalArima>::from_bytes(&model.to_bytes()).unwrap();
        let start = 60_000 * values.len() as u64;
        let _ = model.resume(History { values: &later, start, step: 60_000 }, &[]);
        assert_sound(&model.outlook(horizon, &LEVELS, true, &[]), horizon as usize);
        prop_assert!(Model::<SeasonalArima>::from_bytes(&model.to_bytes()).is_ok());
    }

    #[test]
    fn foreign_bytes_are_refused_or_harmless(place: usize, byte: u8, cut: usize) {
        let values: Vec<f64> = (0..72).map(|t| 10.0 + f64::from(t % 6) + f64::from(t % 5)).collect();
        let bytes = fit(&values, &[6], 4).unwrap().to_bytes();
        prop_assert!(Model::<SeasonalArima>::from_bytes(&bytes[..cut % bytes.len()]).is_err());
        let mut other = bytes.clone();
        other[place % bytes.len()] = byte;
        if let Ok(mut model) = Model::<SeasonalArima>::from_bytes(&other) {
            let history = History { values: &values, start: 72 * 60_000, step: 60_000 };
            let _ = model.resume(history, &[]);
            assert_sound(&model.outlook(6, &LEVELS, true, &[]), 6);
        }
    }
}

/// A day of hours with a season of amounts, noise, and a level that may shift.
fn daily(count: usize, shift_at: usize) -> Vec<f64> {
    let mut noise = Noise(11);
    let level = |t: usize| if t < shift_at { 100.0 } else { 300.0 };
    let day = |t: usize| 20.0 * (std::f64::consts::TAU * t as f64 / 24.0).sin();
    (0..count).map(|t| level(t) + day(t) + noise.normal()).collect()
}

#[test]
fn dirty_series_get_plausible_forecasts() {
    let mut gaps = daily(480, usize::MAX);
    gaps.iter_mut().skip(100).step_by(5).for_each(|v| *v = f64::NAN);
    gaps[300..330].fill(f64::NAN);
    let mut outlier = daily(480, usize::MAX);
    outlier[470] = 20_000.0;
    let clean = daily(528, usize::MAX);
    for (name, values) in [("gaps", gaps), ("outlier", outlier)] {
        let mean = fit(&values, &[24], 48).unwrap().outlook(48, &LEVELS, true, &[]).mean;
        for (h, (mean, came)) in mean.iter().zip(&clean[480..]).enumerate() {
            assert!((mean - came).abs() < 10.0, "{name}, step {h}: {mean} for {came}");
        }
    }
    let shifted = fit(&daily(480, 400), &[24], 24).unwrap().outlook(24, &LEVELS, true, &[]).mean;
    let middle = shifted.iter().sum::<f64>() / 24.0;
    assert!((middle - 300.0).abs() < 40.0, "{middle}");
}

#[test]
fn short_and_dull_series_have_forecasts() {
    for values in [vec![7.0], vec![7.0, 9.0], vec![3.0, 4.0, 5.0], vec![0.0; 40], vec![5.0; 200]] {
        let outlook = fit(&values, &[], 6).unwrap().outlook(6, &LEVELS, true, &[]);
        assert_sound(&outlook, 6);
        let (low, high) = (values[0].min(values[values.len() - 1]), values[values.len() - 1] + 6.0);
        assert!(outlook.mean.iter().all(|m| (low - 1e-6..=high).contains(m)), "{:?}", outlook.mean);
    }
    assert!(fit(&[f64::NAN; 9], &[], 3).is_none());
}

#[test]
fn magnitude_does_not_matter() {
    let base = daily(240, usize::MAX);
    let usual = fit(&base, &[24], 6).unwrap().outlook(6, &LEVELS, true, &[]);
    for unit in [1e-250, 1e-9, 1e12, 1e250] {
        let scaled: Vec<f64> = base.iter().map(|v| v * unit).collect();
        let outlook = fit(&scaled, &[24], 6).unwrap().outlook(6, &LEVELS, true, &[]);
        for (a, b) in usual.mean.iter().zip(&outlook.mean) {
            assert!((a - b / unit).abs() < 1e-3, "{a} is not {b} / {unit}");
        }
    }
}

/// Going on value by value is the same as running the same parameters over all values at once.
#[test]
fn going_on_is_running_over_all() {
    let values = daily(400, usize::MAX);
    let prepared =
        |values: &[f64]| Prepared::of(History { values, start: 0, step: 60_000 }, 24).unwrap();
    let whole = prepared(&values);
    let setting = Setting { seasons: &[24], horizon: 12, events: &[] };
    let method = SeasonalArima::fit(&whole, &setting);
    let clock = Clock { start: 0, step: 60_000, events: &[] };
    let (mut once, from) = method.rewind(&whole);
    let (mut often, _) = method.rewind(&whole);
    once.update(&whole.values[from..], &clock.after(from));
    for place in from..values.len() {
        often.update(&whole.values[place..=place], &clock.after(place));
    }
    assert_eq!(once, often);
    let (mut a, mut b) = ([0.0; 12], [0.0; 12]);
    once.expect(&clock.after(400), &mut a);
    method.expect(&clock.after(400), &mut b);
    // The state at the end hardly remembers how it began, but for the profiles.
    assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 0.3), "{a:?} {b:?}");
}

/// The share of values inside the intervals is about what they say, on series that are none of the
/// method's own.
#[test]
fn intervals_cover_what_they_say() {
    let (mut inside, mut all) = ([0.0; 2], 0.0);
    for seed in 0..24 {
        let mut noise = Noise(seed);
        let mut level = 50.0;
        let values: Vec<f64> = (0..312)
            .map(|t| {
                level += 0.3 * noise.normal();
                level + 8.0 * (std::f64::consts::TAU * f64::from(t) / 12.0).sin() + noise.normal()
            })
            .collect();
        let outlook = fit(&values[..300], &[12], 12).unwrap().outlook(12, &[0.8, 0.95], true, &[]);
        for (h, came) in values[300..].iter().enumerate() {
            all += 1.0;
            for (inside, interval) in inside.iter_mut().zip(&outlook.intervals) {
                *inside +=
                    f64::from(u8::from((interval.lower[h]..=interval.upper[h]).contains(came)));
            }
        }
    }
    let [eighty, most] = inside.map(|inside| inside / all);
    assert!((0.7..0.9).contains(&eighty) && (0.89..0.99).contains(&most), "{eighty} {most}");
}

#[test]
fn models_are_small() {
    let values = daily(960, usize::MAX);
    let bytes = fit(&values, &[24], 48).unwrap().to_bytes();
    assert!(bytes.len() < 2048, "{}", bytes.len());
}
