use haggle_forecasting::{History, Model, Random};
use haggle_sdk::forecasting::Outlook;

use crate::Smoothing;

const LEVELS: [f64; 4] = [0.1, 0.5, 0.8, 0.999];

fn forecast(values: &[f64], seasons: &[u32], horizon: u32, non_negative: bool) -> Option<Outlook> {
    let model =
        Model::<Smoothing>::fit(History { values, start: 0, step: 60_000 }, seasons, horizon, &[])?;
    Some(model.outlook(horizon, &LEVELS, non_negative, &[]))
}

#[test]
fn short_and_plain_histories_have_plausible_forecasts() {
    let one = forecast(&[40.0], &[], 3, true).unwrap();
    assert_eq!(one.mean, [40.0; 3]);
    assert!(one.intervals[2].bounds[0].upper > 45.0 && one.confidence < 0.2);
    let constant = forecast(&[40.0; 200], &[], 3, true).unwrap();
    let bounds = &constant.intervals[2].bounds[2];
    let width = bounds.upper - bounds.lower;
    assert!((constant.mean[0] - 40.0).abs() < 1e-9 && width < 1.0, "{width}");
    assert_eq!(forecast(&[0.0; 50], &[], 2, false).unwrap().mean, [0.0; 2]);
    assert!(forecast(&[f64::NAN; 5], &[], 2, false).is_none());
    let two = forecast(&[10.0, 12.0], &[], 2, false).unwrap();
    assert!((8.0..14.0).contains(&two.mean[1]));
}

#[test]
fn magnitude_does_not_matter() {
    let mut noise = Random::new(5);
    let base: Vec<f64> = (0..200).map(|t| f64::from(t % 12) + noise.normal()).collect();
    let usual = forecast(&base, &[12], 6, false).unwrap();
    for unit in [1e-280, 1e-9, 1e12, 1e280] {
        let scaled: Vec<f64> = base.iter().map(|v| v * unit).collect();
        let outlook = forecast(&scaled, &[12], 6, false).unwrap();
        for (a, b) in usual.mean.iter().zip(&outlook.mean) {
            assert!((a - b / unit).abs() < 1e-6, "{a} is not {b} / {unit}");
        }
    }
}

#[test]
fn an_outlier_is_not_followed_and_a_shift_is() {
    let mut noise = Random::new(9);
    let mut values: Vec<f64> = (0..150).map(|_| 100.0 + noise.normal()).collect();
    values[149] = 10_000.0;
    let after_one = forecast(&values, &[], 1, true).unwrap().mean[0];
    assert!((after_one - 100.0).abs() < 10.0, "{after_one}");
    let mut shifted: Vec<f64> = (0..150).map(|_| 100.0 + noise.normal()).collect();
    shifted.iter_mut().skip(130).for_each(|v| *v += 300.0);
    let after_shift = forecast(&shifted, &[], 1, true).unwrap().mean[0];
    assert!((after_shift - 400.0).abs() < 30.0, "{after_shift}");
}

#[test]
fn gaps_do_not_move_the_season() {
    let day = |t: usize| 50.0 + f64::from(u32::from(t % 24 < 8)) * 100.0;
    let mut values: Vec<f64> = (0..240).map(day).collect();
    values.iter_mut().skip(100).step_by(3).for_each(|v| *v = f64::NAN);
    values[200..230].fill(f64::NAN);
    let outlook = forecast(&values, &[24], 24, true).unwrap();
    for (h, mean) in outlook.mean.iter().enumerate() {
        assert!((mean - day(240 + h)).abs() < 10.0, "step {h}: {mean}");
    }
}
