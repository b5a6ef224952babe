use haggle_forecasting::{HOUR, History, Model, Random, check::AIR_PASSENGERS};
use haggle_sdk::types::{CalendarEvent, EventKind, Window};

use crate::{Block, Decomposition, Remainder};

fn fit(values: &[f64], seasons: &[u32], events: &[CalendarEvent]) -> Model<Decomposition> {
    let history = History { values, start: 0, step: HOUR };
    Model::fit(history, seasons, 48, events).unwrap()
}

fn event(name: &str, from: u64, hours: u64) -> CalendarEvent {
    let window = Window { start_ms: from * HOUR, end_ms: (from + hours) * HOUR };
    CalendarEvent { kind: EventKind::Campaign, name: name.into(), window }
}

fn wave(t: usize, length: f64) -> f64 {
    (t as f64 / length * std::f64::consts::TAU).sin()
}

#[test]
fn two_seasons_and_a_trend_go_on_together() {
    let mut random = Random::new(1);
    let truth = |t: usize| 200.0 + 0.05 * t as f64 + 30.0 * wave(t, 24.0) + 15.0 * wave(t, 168.0);
    let values: Vec<f64> = (0..1000).map(|t| truth(t) + random.normal()).collect();
    let model = fit(&values, &[24], &[]);
    for (h, mean) in model.outlook(48, &[0.8], false, &[]).mean.iter().enumerate() {
        assert!((mean - truth(1000 + h)).abs() < 3.0, "step {h}: {mean}, not {}", truth(1000 + h));
    }
}

#[test]
fn a_trend_that_changed_goes_on_as_it_goes_now() {
    let mut random = Random::new(2);
    let truth = |t: usize| if t < 300 { t as f64 } else { 600.0 - t as f64 };
    let values: Vec<f64> = (0..600).map(|t| truth(t) + 3.0 * random.normal()).collect();
    let mean = fit(&values, &[], &[]).outlook(24, &[], false, &[]).mean;
    assert!((mean[11] - truth(611)).abs() < 12.0, "{}", mean[11]);
    assert!(mean[23] < mean[0] - 10.0, "{mean:?}");
}

#[test]
fn the_effect_of_an_event_is_learnt_and_forecast() {
    let mut random = Random::new(3);
    let events: Vec<CalendarEvent> = (0..8).map(|i| event("sale", 40 + 77 * i, 6)).collect();
    let on = |t: usize| {
        let time = t as u64 * HOUR;
        events.iter().any(|e| (e.window.start_ms..e.window.end_ms).contains(&time))
    };
    let truth = |t: usize| 100.0 + 10.0 * wave(t, 24.0) + if on(t) { 60.0 } else { 0.0 };
    let values: Vec<f64> = (0..570).map(|t| truth(t) + 2.0 * random.normal()).collect();
    let model = fit(&values, &[24], &events);
    // The eighth sale begins at the tenth step of the forecast, and lasts 6 hours.
    let outlook = model.outlook(20, &[0.8], false, &events);
    for (h, mean) in outlook.mean.iter().enumerate() {
        assert!((mean - truth(570 + h)).abs() < 15.0, "step {h}: {mean}, not {}", truth(570 + h));
    }
    let without = model.outlook(20, &[0.8], false, &[]);
    assert!(outlook.mean[10] - without.mean[10] > 40.0);
    // The written model contains the effect too.
    let read = Model::<Decomposition>::from_bytes(&model.to_bytes()).unwrap();
    assert!((read.outlook(20, &[0.8], false, &events).mean[10] - outlook.mean[10]).abs() < 0.1);
}

#[test]
fn quiet_weekends_are_seen() {
    let mut random = Random::new(4);
    // The epoch was a Thursday.
    let weekend = |t: usize| matches!((t / 24 + 3) % 7, 5 | 6);
    let truth = |t: usize| if weekend(t) { 20.0 } else { 100.0 + 40.0 * wave(t, 24.0) };
    let values: Vec<f64> = (0..24 * 42).map(|t| truth(t) + 2.0 * random.normal()).collect();
    let model = fit(&values, &[24], &[]);
    assert!(model.method.regression.blocks.contains(&Block::Weekend));
}

/// A random walk can look seasonal, but no season may be forecast from it.
#[test]
fn a_walk_has_no_season() {
    for seed in 100..112 {
        let mut random = Random::new(seed);
        let mut level = 50.0;
        let step = |_| {
            level += random.normal();
            level
        };
        let values: Vec<f64> = (0..600).map(step).collect();
        let blocks = fit(&values, &[24], &[]).method.regression.blocks;
        assert!(blocks.iter().all(|b| matches!(b, Block::Level | Block::Trend)), "{blocks:?}");
    }
}

/// The daily peak is in the morning at first, and after three weeks in the evening.
#[test]
fn a_season_that_changed_is_forecast_as_it_is_now() {
    let mut random = Random::new(6);
    let truth = |t: usize| 100.0 + 30.0 * wave(if t < 24 * 21 { t } else { t + 12 }, 24.0);
    let values: Vec<f64> = (0..24 * 35).map(|t| truth(t) + random.normal()).collect();
    let model = fit(&values, &[24], &[]);
    let read = Model::<Decomposition>::from_bytes(&model.to_bytes()).unwrap();
    for (h, mean) in read.outlook(48, &[], true, &[]).mean.iter().enumerate() {
        let came = truth(values.len() + h);
        assert!((mean - came).abs() < 10.0, "step {h}: {mean}, not {came}");
    }
}

/// The level follows a random walk, but not white noise.
#[test]
fn remainders_go_on_as_they_did() {
    let mut random = Random::new(5);
    let mut level = 0.0;
    let walk: Vec<f64> = (0..500)
        .map(|_| {
            level += random.normal();
            level
        })
        .collect();
    let noise: Vec<f64> = (0..500).map(|_| random.normal()).collect();
    let walking = Remainder::fit(&walk, 0, 8, &[]);
    assert!(walking.shares.stays + walking.shares.fades > 0.8, "{walking:?}");
    let still = Remainder::fit(&noise, 0, 8, &[]);
    assert!(still.shares.stays <= 0.05 && still.shares.fades < 0.4, "{still:?}");
}

/// A daily profile that changes from day to day is learnt with its season.
#[test]
fn what_returns_with_a_season_is_learnt() {
    let mut random = Random::new(7);
    let mut day = [0.0; 24];
    let remainders: Vec<f64> = (0..24 * 40)
        .map(|t| {
            day[t % 24] += random.normal();
            day[t % 24] + 0.2 * random.normal()
        })
        .collect();
    let mut remainder = Remainder::fit(&remainders, 0, 24, &[24, 168]);
    assert!(remainder.profile.len() == 24 && remainder.shares.returns > 0.5, "{remainder:?}");
    remainders.iter().for_each(|value| remainder.update(*value));
    let mut means = [0.0; 24];
    remainder.expect(&mut means);
    assert!(means.iter().zip(day).all(|(mean, now)| (mean - now).abs() < 2.0), "{means:?} {day:?}");
}

/// statsforecast 2.1 (`MSTL` with the seasonally adjusted series forecast by exponential smoothing) on the
/// logarithms of the passengers: its forecasts of the twelfth year from the first eleven, with 95% intervals.
#[test]
fn a_year_is_forecast_about_as_the_reference_does() {
    let values: Vec<f64> = AIR_PASSENGERS.iter().map(|value| value.ln()).collect();
    let (known, came) = values.split_at(132);
    // The step is a month of 730 hours, so the series cannot show weekends.
    let history = History { values: known, start: 0, step: 730 * HOUR };
    let model = Model::<Decomposition>::fit(history, &[12], 12, &[]).unwrap();
    let outlook = model.outlook(12, &[0.95], false, &[]);
    let means = [
        6.0385, 5.9991, 6.1554, 6.1323, 6.1572, 6.3022, 6.4199, 6.4211, 6.2687, 6.1387, 6.0082,
        6.123,
    ];
    let half_widths = [
        0.0573, 0.0677, 0.0768, 0.0849, 0.0923, 0.0991, 0.1055, 0.1115, 0.1173, 0.1227, 0.128,
        0.133,
    ];
    let interval = &outlook.intervals[0];
    let (mut ours, mut theirs) = (0.0, 0.0);
    for (h, came) in came.iter().enumerate() {
        let (mean, reference) = (outlook.mean[h], means[h]);
        assert!((mean - reference).abs() < 0.08, "step {h}: {mean}, not {reference}");
        let bounds = &interval.bounds[h];
        let wider = (bounds.upper - bounds.lower) / (2.0 * half_widths[h]);
        assert!((0.4..2.5).contains(&wider), "step {h}: {wider}");
        ours += (mean - came).abs() / 12.0;
        theirs += (reference - came).abs() / 12.0;
    }
    assert!(ours < 1.5 * theirs, "{ours}, not {theirs}");
}
