//! Against figures of statsmodels 0.14 (`SARIMAX`, exact likelihood) and statsforecast 2.1 (`AutoARIMA`).

use haggle_forecasting::{
    Random,
    check::{AIR_PASSENGERS, LAKE_HURON},
};

use crate::{Coefficients, Model, Orders, differences, kpss};

const AIRLINE: Orders = Orders::plain(0, 1, 1).seasonal(0, 1, 1, 12);

fn logarithms() -> Vec<f64> {
    AIR_PASSENGERS.iter().map(|v| v.ln()).collect()
}

fn assert_close(ours: &[f64], theirs: &[f64], tolerance: f64) {
    assert_eq!(ours.len(), theirs.len());
    for (h, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() <= tolerance, "step {}: {a} is not {b}", h + 1);
    }
}

fn forecast(model: &Model, steps: usize) -> (Vec<f64>, Vec<f64>) {
    let (mut means, mut variances) = (vec![0.0; steps], vec![0.0; steps]);
    model.expect(&mut means);
    model.variances(&mut variances);
    (means, variances.iter().map(|v| v.sqrt()).collect())
}

/// The airline model with the coefficients of the exact likelihood: means and standard errors. The filter's
/// assumption about the time before the first value fades by a factor of 0.56 a year.
#[test]
fn airline_forecasts_are_the_reference_ones() {
    let coefficients = Coefficients {
        ma: vec![-0.40192455452389],
        seasonal_ma: vec![-0.5571013710444236],
        ..Coefficients::default()
    };
    let model = Model::with(&logarithms(), AIRLINE, coefficients, 0.0013475777603323444);
    let (means, deviations) = forecast(&model, 12);
    let theirs = [
        6.110187442,
        6.05378223,
        6.171734253,
        6.199301221,
        6.232554687,
        6.368782024,
        6.507290087,
        6.502905797,
        6.324703756,
        6.209007718,
        6.063492225,
        6.168031986,
    ];
    assert_close(&means, &theirs, 2e-3);
    let theirs = [
        0.03670939779,
        0.0427738349,
        0.04807933047,
        0.05285492489,
        0.05723341813,
        0.06129996099,
        0.06511302699,
        0.06871482627,
        0.07213701142,
        0.07540404155,
        0.07853528219,
        0.08154637708,
    ];
    assert_close(&deviations, &theirs, 1e-5);
}

/// AutoARIMA's coefficients by conditional sum of squares for the same model.
#[test]
fn conditional_fits_are_the_reference_ones() {
    let model = Model::fit_orders(&logarithms(), AIRLINE).unwrap();
    assert_close(&model.coefficients.ma, &[-0.37716243], 5e-3);
    assert_close(&model.coefficients.seasonal_ma, &[-0.57237897], 5e-3);
    assert!((model.variance - 0.00135).abs() < 1e-4, "{}", model.variance);
}

#[test]
fn autoregressive_forecasts_are_the_reference_ones() {
    let mean = LAKE_HURON.iter().sum::<f64>() / 98.0;
    let values: Vec<f64> = LAKE_HURON.iter().map(|v| v - mean).collect();
    let coefficients = Coefficients {
        ar: vec![1.044132954680412, -0.25026433775290896],
        ..Coefficients::default()
    };
    let model = Model::with(&values, Orders::plain(2, 0, 0), coefficients, 0.47889512153004493);
    let (means, deviations) = forecast(&model, 6);
    let theirs =
        [0.7763920958, 0.5714242959, 0.4023396847, 0.2770890008, 0.1886264824, 0.1276056311];
    assert_close(&means, &theirs, 1e-8);
    let theirs = [0.6920224863, 1.000496431, 1.157091487, 1.233048651, 1.268881819, 1.285494879];
    assert_close(&deviations, &theirs, 1e-8);
    // The conditional estimates are near the exact ones.
    let fitted = Model::fit_orders(&values, Orders::plain(2, 0, 0)).unwrap();
    assert_close(&fitted.coefficients.ar, &[1.0441, -0.2503], 0.06);
}

#[test]
fn mixed_and_differenced_forecasts_are_the_reference_ones() {
    let mixed = Orders::plain(1, 0, 1).with_constant(true);
    let coefficients = Coefficients {
        mean: 116.33305079616252 / (1.0 - 0.7991063076101975),
        ar: vec![0.7991063076101975],
        ma: vec![0.2798689248640234],
        ..Coefficients::default()
    };
    let (means, deviations) =
        forecast(&Model::with(&LAKE_HURON, mixed, coefficients, 0.47667220828415935), 4);
    assert_close(&means, &[579.7854525, 579.6432629, 579.5296384, 579.4388403], 1e-5);
    let theirs = [0.6904145192, 1.015681082, 1.177273945, 1.269748667];
    assert_close(&deviations, &theirs, 1e-6);
    let coefficients = Coefficients {
        ma: vec![0.08262850527564379, -0.2435456810418927],
        ..Coefficients::default()
    };
    let model = Model::with(&LAKE_HURON, Orders::plain(0, 1, 2), coefficients, 0.5234964547024328);
    let (means, deviations) = forecast(&model, 4);
    assert_close(&means, &[579.7156243, 579.7468988, 579.7468988, 579.7468988], 1e-4);
    assert_close(&deviations, &[0.7235305486, 1.066338841, 1.22704989, 1.369023133], 1e-6);
}

#[test]
fn unit_roots_are_found_as_by_the_reference() {
    assert!((kpss(&LAKE_HURON) - 1.221218569).abs() < 1e-6, "{}", kpss(&LAKE_HURON));
    assert!((kpss(&AIR_PASSENGERS) - 4.342286797).abs() < 1e-6);
    assert_eq!((differences(&LAKE_HURON), differences(&AIR_PASSENGERS)), (1, 1));
    let mut noise = Random::new(2);
    let white: Vec<f64> = (0..300).map(|_| noise.normal()).collect();
    assert_eq!(differences(&white), 0);
}

/// The search finds the model that generated a series, or one that forecasts as well.
#[test]
fn the_search_finds_what_made_a_series() {
    let mut noise = Random::new(7);
    let (mut values, mut before) = (vec![0.0], 0.0);
    for _ in 0..600 {
        let e = noise.normal();
        values.push(0.7 * values.last().unwrap() + e + 0.4 * before);
        before = e;
    }
    let model = Model::fit(&values, &vec![true; values.len()], &[], 12).unwrap();
    assert_eq!(model.orders.differences, 0, "{}", model.orders);
    assert!((model.variance - 1.0).abs() < 0.12, "{}", model.variance);
    let exact = Model::fit_orders(&values, Orders::plain(1, 0, 1)).unwrap();
    assert_close(&exact.coefficients.ar, &[0.7], 0.08);
    assert_close(&exact.coefficients.ma, &[0.4], 0.08);
    let (ours, _) = forecast(&model, 12);
    let (theirs, _) = forecast(&exact, 12);
    assert_close(&ours, &theirs, 0.4);
}

#[test]
fn a_day_is_followed() {
    let mut noise = Random::new(5);
    let day = |t: usize| 10.0 * (std::f64::consts::TAU * (t % 24) as f64 / 24.0).sin();
    let values: Vec<f64> = (0..528).map(|t| 40.0 + day(t) + noise.normal()).collect();
    let model = Model::fit(&values[..480], &[true; 480], &[24], 48).unwrap();
    let (means, _) = forecast(&model, 48);
    let off = means.iter().zip(&values[480..]).map(|(m, v)| (m - v).abs()).sum::<f64>() / 48.0;
    assert!(off < 1.1, "{}: {off}", model.orders);
}

/// statsforecast 2.1 (`AutoARIMA`) chooses the airline model, (0,1,1)(0,1,1) of 12 months, for the logarithms of
/// the passengers. The figures are its forecasts of the twelfth year from the first eleven, and half the width of
/// its 95% intervals divided by the quantile. The search chooses the same orders if the model follows the season.
/// If the profile is subtracted instead, the forecasts are about the same.
#[test]
fn the_search_finds_the_seasonal_orders_that_the_reference_finds() {
    let values = logarithms();
    let (model, _) = Model::one_way(&values, &[true; 144], &[], 12).unwrap();
    assert_eq!(model.orders, AIRLINE, "{}", model.orders);
    let theirs = [
        6.0389, 5.9896, 6.146, 6.1197, 6.1595, 6.3047, 6.4327, 6.4448, 6.2668, 6.1362, 6.0077,
        6.1145,
    ];
    let known = &values[..132];
    let (model, _) = Model::one_way(known, &[true; 132], &[], 12).unwrap();
    let (means, deviations) = forecast(&model, 12);
    assert_close(&means, &theirs, 0.05);
    assert_close(&[deviations[0], deviations[11]], &[0.0365, 0.0894], 0.01);
    let (means, _) = forecast(&Model::fit(known, &[true; 132], &[12], 12).unwrap(), 12);
    assert_close(&means, &theirs, 0.08);
}
