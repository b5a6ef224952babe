//! Against figures of statsmodels 0.14 (`ETSModel`) and statsforecast 2.1 (`AutoETS`).

use haggle_forecasting::{
    Random,
    check::{AIR_PASSENGERS, LAKE_HURON},
};

use crate::{
    Distribution, Form, Model, Parameters, Season, Seasonal, State, Trend, means, run, variances,
};

fn state(level: f64, trend: f64, profile: &[f64]) -> State {
    let season = Season { profile: profile.to_vec(), position: 0 };
    let seasons = if profile.is_empty() { Vec::new() } else { vec![season] };
    State { level, trend, transient: 0.0, seasons }
}

fn parameters(level: f64, trend: f64, damping: f64, seasonal: f64) -> Parameters {
    let (transient, persistence) = (0.0, 0.0);
    Parameters { level, trend, damping, transient, persistence, seasonal: [seasonal, 0.0] }
}

fn assert_close(ours: &[f64], theirs: &[f64], tolerance: f64) {
    assert_eq!(ours.len(), theirs.len());
    for (h, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() <= tolerance * b.abs(), "step {}: {a} is not {b}", h + 1);
    }
}

/// statsmodels: parameters, initial state, variance, log-likelihood, forecasts of the passengers in
/// hundreds, and half the width of the 95% intervals over its quantile.
#[test]
fn additive_recursions_are_the_reference_ones() {
    let values: Vec<f64> = AIR_PASSENGERS.iter().map(|v| v / 100.0).collect();
    let form = Form::additive(Trend::Damped, Seasonal::Additive);
    let parameters =
        parameters(0.26772334599612396, 0.024998295664425702, 0.98, 0.7322034263384757);
    let mut state = state(
        1.106156408188737,
        0.014142662568676271,
        &[
            0.0,
            0.05516817336,
            0.1791970868,
            0.1271221496,
            0.04203012929,
            0.1864261037,
            0.3123451756,
            0.2922157127,
            0.1558446861,
            -0.02694683624,
            -0.1665132179,
            0.002156430216,
        ],
    );
    let totals = run(&values, form, &parameters, &mut state, |_| {});
    let likelihood = -totals.deviance(Distribution::Normal) / 2.0;
    assert!((likelihood - 94.34004597656336).abs() < 1e-6, "{likelihood}");
    let mut ours = [0.0; 14];
    means(form, &parameters, &state, &mut ours);
    let mean = [
        4.51333544,
        4.267116361,
        4.645700382,
        5.00062238,
        5.085235063,
        5.673875289,
        6.470507894,
        6.311192634,
        5.324905423,
        4.822743366,
        4.15233885,
        4.59417731,
        4.782021091,
        4.530428299,
    ];
    assert_close(&ours, &mean, 1e-8);
    variances(form, &parameters, &state, 0.0157935210566797, &mut ours);
    let half = [
        0.1256722764,
        0.1309281681,
        0.1368267518,
        0.1433342092,
        0.1504117058,
        0.1580180152,
        0.166111524,
        0.174651649,
        0.1835997552,
        0.1929196838,
        0.2025779966,
        0.2125440241,
        0.2653176763,
        0.2741939767,
    ];
    assert_close(&ours.map(f64::sqrt), &half, 1e-8);
}

fn multiplicative() -> (Form, Parameters, State) {
    let form = Form::multiplicative(Trend::Damped, Seasonal::Multiplicative);
    let parameters =
        parameters(0.0415071691412, 0.00786351252793, 0.962268180751, 0.00403558087302);
    let state = state(
        110.0803516,
        2.489296637,
        &[
            0.9135009357,
            0.8915894047,
            1.017376091,
            0.9899391945,
            0.9792675797,
            1.111574165,
            1.229445226,
            1.21980652,
            1.058528938,
            0.9155808135,
            0.7841785579,
            0.889212574,
        ],
    );
    (form, parameters, state)
}

/// statsforecast: parameters, initial state, log-likelihood (without its constant) and the first forecast
/// (its later ones take a damped trend to be φh instead of φ + φ² + …).
#[test]
fn multiplicative_recursions_are_the_reference_ones() {
    let (form, parameters, mut state) = multiplicative();
    let totals = run(&AIR_PASSENGERS, form, &parameters, &mut state, |_| {});
    let constant = 144.0 * ((2.0 * std::f64::consts::PI).ln() + 1.0 - 144_f64.ln());
    let likelihood = -(totals.deviance(Distribution::Normal) - constant) / 2.0;
    assert!((likelihood + 770.6596806004993).abs() < 1e-4, "{likelihood}");
    let mut ours = [0.0];
    means(form, &parameters, &state, &mut ours);
    assert_close(&ours, &[436.5054259], 1e-7);
}

/// The variances of multiplicative models against paths simulated by the recursions.
#[test]
fn multiplicative_variances_are_those_of_simulated_paths() {
    const PATHS: usize = 20_000;
    let (form, mut p, mut state) = multiplicative();
    run(&AIR_PASSENGERS, form, &p, &mut state, |_| {});
    let variance = 0.0025;
    let mut noise = Random::new(8);
    for level in [0.0415, 0.4] {
        p.level = level;
        let (mut mean, mut ours) = ([0.0; 18], [0.0; 18]);
        means(form, &p, &state, &mut mean);
        variances(form, &p, &state, variance, &mut ours);
        let mut squares = [0.0; 18];
        for _ in 0..PATHS {
            let mut path = state.clone();
            for (square, mean) in squares.iter_mut().zip(&mean) {
                let mut next = [0.0];
                means(form, &p, &path, &mut next);
                let value = next[0] * (1.0 + variance.sqrt() * noise.normal());
                run(&[value], form, &p, &mut path, |_| {});
                *square += (value - mean).powi(2) / PATHS as f64;
            }
        }
        assert_close(&ours.map(f64::sqrt), &squares.map(f64::sqrt), 0.02);
    }
}

/// statsforecast: the state that it fits to Lake Huron with relative errors, its means, and half the width
/// of the 95% intervals over its quantile.
#[test]
fn relative_errors_have_the_reference_intervals() {
    let form = Form::multiplicative(Trend::Additive, Seasonal::None);
    let parameters = parameters(0.9999, 0.0001, 1.0, 0.0);
    let state = state(579.9599926, -0.004088188153, &[]);
    let mut ours = [0.0; 6];
    means(form, &parameters, &state, &mut ours);
    let mean = [579.9559044, 579.9518162, 579.947728, 579.9436398, 579.9395516, 579.9354635];
    assert_close(&ours, &mean, 1e-8);
    variances(form, &parameters, &state, 1.7483945440978922e-6, &mut ours);
    let half = [0.7668575459, 1.084496994, 1.328272306, 1.533815921, 1.714930208, 1.878693787];
    assert_close(&ours.map(f64::sqrt), &half, 1e-4);
}

/// statsmodels: forecasts and 95% intervals of the damped trend that it fits to Lake Huron.
#[test]
fn a_fit_has_the_reference_intervals() {
    let form = Form::additive(Trend::Damped, Seasonal::None);
    let model = Model::fit_forms(&LAKE_HURON, &[], &[form]).unwrap();
    let forecast = model.forecast(6);
    assert_close(&forecast.mean, &[579.9601; 6], 1e-4);
    let lower = [578.508209, 577.906919, 577.445479, 577.056432, 576.713650, 576.403733];
    for (h, lower) in lower.iter().enumerate() {
        let ours = forecast.mean[h] - 1.96 * forecast.variance[h].sqrt();
        // A twentieth of the width: their variance counts no parameters.
        assert!((ours - lower).abs() < 0.05 * (580.0 - lower), "{ours} is not {lower}");
    }
    // Their likelihood at the optimum is -109.65: ours is no worse.
    let penalty = 2.0 * 6.0 + 2.0 * 6.0 * 7.0 / (98.0 - 7.0);
    let unit = LAKE_HURON.iter().sum::<f64>() / 98.0;
    let likelihood = (model.criterion - penalty) / -2.0 - 98.0 * unit.ln();
    assert!(likelihood > -110.2, "{likelihood}");
}

/// The chosen form, compared with AutoETS: it has multiplicative seasons, and its means differ by at most 6%.
#[test]
fn the_choice_is_close_to_the_reference() {
    let model = Model::fit_forms(&AIR_PASSENGERS, &[12], &Form::ALL).unwrap();
    assert_eq!(model.form.seasonal, Seasonal::Multiplicative, "{}", model.form);
    let theirs = [
        442.3571688,
        428.2673662,
        492.9747934,
        477.3699955,
        477.602817,
        535.8579976,
        600.8320224,
        594.7682763,
        513.7032027,
        448.222636,
        390.316265,
        435.7379967,
    ];
    assert_close(&model.forecast(12).mean, &theirs, 0.06);
    let lake = Model::fit_forms(&LAKE_HURON, &[], &Form::ALL).unwrap();
    assert_eq!((lake.form.trend, lake.form.seasonal), (Trend::None, Seasonal::None));
    assert!(lake.parameters.level > 0.95);
    let half = 1.959963985 * lake.forecast(12).variance[11].sqrt();
    let theirs = 585.0991763 - 579.959993;
    assert!((half - theirs).abs() < 0.02 * theirs, "{half} is not {theirs}");
}

/// Two seasons and errors that fade are found, and help.
#[test]
fn a_day_and_a_week_are_found() {
    let mut noise = Random::new(3);
    let mut fading = 0.0;
    let value = |t: usize| {
        fading = 0.8 * fading + 0.5 * noise.normal();
        let day = 10.0 * (std::f64::consts::TAU * (t % 24) as f64 / 24.0).sin();
        let weekend = if (t / 24) % 7 >= 5 { -15.0 } else { 0.0 };
        60.0 + day + weekend + fading
    };
    let values: Vec<f64> = (0..888).map(value).collect();
    let model = Model::fit(&values[..840], &[24, 168], 48).unwrap();
    assert_eq!(model.state.seasons.len(), 2, "{}", model.form);
    let mean = model.forecast(48).mean;
    let off = mean.iter().zip(&values[840..]).map(|(m, v)| (m - v).abs()).sum::<f64>() / 48.0;
    assert!(off < 1.2, "{off}");
}
