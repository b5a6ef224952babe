use haggle_forecasting::{History, Prepared, Random, Setting};

use crate::{Member, Model, Pool, Simple, Weighed, weigh};

const SEASON: usize = 24;
const AHEAD: usize = 12;

fn members(shares: &[f64]) -> Vec<Weighed> {
    let of = |share: &f64| Weighed {
        member: Member::Simple(Simple::Last),
        fitted: *share,
        weight: *share,
        usual: 1.0,
    };
    shares.iter().map(of).collect()
}

/// A daily wave on a random walk, so that both the last values and the last days help to forecast it. From `change`
/// on there is no wave.
fn values(count: usize, change: usize) -> Vec<f64> {
    let mut random = Random::new(11);
    let mut level = 100.0;
    let mut at = |t: usize| {
        level += 0.6 * random.normal();
        let wave = 6.0 * (t as f64 / SEASON as f64 * std::f64::consts::TAU).sin();
        level + if t < change { wave } else { 0.0 } + 0.5 * random.normal()
    };
    (0..count).map(&mut at).collect()
}

/// The model of the first 480 values, with simple forecasts from the last values and the last days.
fn fit(values: &[f64]) -> Model {
    let history = History { values: &values[..480], start: 0, step: 1 };
    let series = Prepared::of(history, SEASON).unwrap();
    let setting = Setting { seasons: &[SEASON], horizon: AHEAD, events: &[] };
    let kinds = [Simple::Middle(6), Simple::Usual(SEASON), Simple::Last, Simple::Repeat(SEASON)];
    Model::settle(&series, Pool::of(kinds.map(Member::Simple).to_vec(), &series, &setting))
}

/// The total error of forecasts from 60 origins after the fit, with updated weights and with those of the fit.
fn errors(values: &[f64]) -> (f64, f64) {
    let mut model = fit(values);
    assert!(model.members.len() > 1, "{:?}", model.members);
    let (mut anew, mut fitted) = (0.0, 0.0);
    let off = |model: &Model, came: &[f64]| -> f64 {
        let outlook = model.outlook(AHEAD as u32, &[0.8], false, &[]);
        came.iter().zip(&outlook.mean).map(|(came, mean)| (came - mean).abs()).sum()
    };
    for known in 481..541 {
        let history = History { values: &values[..known], start: 0, step: 1 };
        assert!(model.resume(history, &[]));
        let mut as_fitted = model.clone();
        as_fitted.members.iter_mut().for_each(|one| one.weight = one.fitted);
        let came = &values[known..known + AHEAD];
        anew += off(&model, came);
        fitted += off(&as_fitted, came);
    }
    (anew, fitted)
}

#[test]
fn one_that_goes_bad_loses_its_weight_and_gets_it_back() {
    let mut all = members(&[0.75, 0.25]);
    (0..30).for_each(|_| weigh(&mut all, [4.0, 1.0].into_iter(), 1.0));
    assert!(all[0].weight < 0.15, "{all:?}");
    assert!((all[0].weight + all[1].weight - 1.0).abs() < 1e-9);
    (0..300).for_each(|_| weigh(&mut all, [1.0, 1.0].into_iter(), 1.0));
    assert!((all[0].weight - 0.75).abs() < 0.05, "{all:?}");
}

#[test]
fn what_is_as_usual_for_each_changes_nothing() {
    let mut all = members(&[0.5, 0.5]);
    all[1].usual = 20.0;
    // Both errors are twice the usual ones.
    (0..100).for_each(|_| weigh(&mut all, [2.0, 40.0].into_iter(), 5.0));
    assert!((all[0].weight - 0.5).abs() < 1e-9, "{all:?}");
}

#[test]
fn weights_stay_weights_whatever_comes() {
    let mut all = members(&[1.0, 0.0]);
    all[0].usual = 0.0;
    for error in [0.0, 1e100, -1e100, 0.0, 5e-324] {
        weigh(&mut all, [error, 0.0].into_iter(), 0.0);
        assert!((all.iter().map(|one| one.weight).sum::<f64>() - 1.0).abs() < 1e-9, "{all:?}");
    }
}

#[test]
fn after_a_change_forecasts_are_clearly_better_than_as_fitted() {
    let (anew, fitted) = errors(&values(600, 480));
    assert!(anew < 0.8 * fitted, "{anew} against {fitted}");
}

#[test]
fn without_a_change_they_are_as_good() {
    let (anew, fitted) = errors(&values(600, 600));
    assert!(anew < 1.02 * fitted, "{anew} against {fitted}");
}
