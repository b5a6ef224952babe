use haggle_forecasting::{History, Model, Random};

use crate::Smoothing;

const HOUR: u64 = 3_600_000;
const AHEAD: usize = 12;

/// The shares of later values within the intervals of 80% and 95%, over many series of one kind.
fn coverage(make: impl Fn(&mut Random, usize) -> Vec<f64>) -> (f64, f64) {
    let (mut in80, mut in95, mut all) = (0, 0, 0);
    for seed in 0..240 {
        let values = make(&mut Random::new(seed), 480 + AHEAD);
        let (known, later) = values.split_at(480);
        let history = History { values: known, start: 0, step: HOUR };
        let model = Model::<Smoothing>::fit(history, &[], AHEAD as u32, &[]).unwrap();
        let outlook = model.outlook(AHEAD as u32, &[0.8, 0.95], false, &[]);
        for (h, value) in later.iter().enumerate() {
            let within = |i: usize| {
                let bounds = &outlook.intervals[i].bounds[h];
                i32::from(bounds.lower <= *value && *value <= bounds.upper)
            };
            (in80, in95, all) = (in80 + within(0), in95 + within(1), all + 1);
        }
    }
    (f64::from(in80) / f64::from(all), f64::from(in95) / f64::from(all))
}

fn assert_honest(make: impl Fn(&mut Random, usize) -> Vec<f64>) {
    let (in80, in95) = coverage(make);
    assert!((0.76..=0.86).contains(&in80), "80% interval: {in80}");
    assert!((0.92..=0.98).contains(&in95), "95% interval: {in95}");
}

#[test]
fn of_white_noise() {
    assert_honest(|noise, n| (0..n).map(|_| 100.0 + 7.0 * noise.normal()).collect());
}

#[test]
fn of_an_autoregression() {
    assert_honest(|noise, n| {
        let mut x = 0.0;
        let mut next = || {
            x = 0.8 * x + noise.normal();
            50.0 + x
        };
        (0..n).map(|_| next()).collect()
    });
}

#[test]
fn of_a_random_walk() {
    assert_honest(|noise, n| {
        let mut x = 1000.0;
        let mut next = || {
            x += 3.0 * noise.normal();
            x
        };
        (0..n).map(|_| next()).collect()
    });
}

#[test]
fn of_a_day_with_noise() {
    assert_honest(|noise, n| {
        let day = |t: usize| (t as f64 / 24.0 * std::f64::consts::TAU).sin();
        (0..n).map(|t| 200.0 + 80.0 * day(t) + 10.0 * noise.normal()).collect()
    });
}

/// Errors of one sign only: an interval around the mean by the normal distribution would be too low
/// above and too wide below.
#[test]
fn of_lopsided_noise() {
    let make = |noise: &mut Random, n: usize| -> Vec<f64> {
        (0..n).map(|_| 10.0 - 5.0 * noise.uniform().max(1e-12).ln()).collect()
    };
    assert_honest(make);
    let values = make(&mut Random::new(7), 480);
    let history = History { values: &values, start: 0, step: HOUR };
    let outlook =
        Model::<Smoothing>::fit(history, &[], 1, &[]).unwrap().outlook(1, &[0.8], false, &[]);
    let (mean, bounds) = (outlook.mean[0], &outlook.intervals[0].bounds[0]);
    assert!(bounds.upper - mean > 1.3 * (mean - bounds.lower));
}

#[test]
fn finds_a_day_and_forecasts_by_it() {
    let mut noise = Random::new(3);
    let day = |t: usize| 100.0 + 50.0 * (t as f64 / 24.0 * std::f64::consts::TAU).sin();
    let values: Vec<f64> = (0..240).map(|t| day(t) + noise.normal()).collect();
    // A step of which no day is a multiple: the values alone show the season.
    let model = Model::<Smoothing>::fit(
        History { values: &values, start: 0, step: 7_000_000 },
        &[],
        24,
        &[],
    )
    .unwrap();
    assert_eq!(model.method.seasons(), [24]);
    for (h, mean) in model.outlook(24, &[], false, &[]).mean.iter().enumerate() {
        assert!((mean - day(240 + h)).abs() < 4.0, "step {h}: {mean}");
    }
}
