//! Against figures of statsforecast 2.1 (`DynamicOptimizedTheta`) and the published method.

use haggle_forecasting::{
    Random,
    check::{AIR_PASSENGERS, LAKE_HURON},
};

use crate::{Line, Model, Parameters};

const TRENDY: [f64; 40] = [
    11.8,
    13.79312038,
    13.9479431,
    14.29020043,
    15.32940322,
    16.03000307,
    17.12297367,
    18.60836992,
    20.43508283,
    20.99338969,
    21.15423205,
    21.68566745,
    22.62516547,
    23.78210636,
    25.00916755,
    26.29456618,
    27.34571527,
    27.41709149,
    27.37857853,
    28.56357028,
    29.60115875,
    30.53789361,
    31.01446835,
    32.62580085,
    32.84670131,
    32.55823834,
    34.0510506,
    34.81648022,
    35.3414053,
    35.15019986,
    37.17519397,
    38.04250933,
    38.27037075,
    39.85112321,
    40.63672745,
    40.94707634,
    40.93161228,
    42.6278732,
    44.53729786,
    45.91420688,
];

fn run(values: &[f64], before: f64, level: f64, theta: f64) -> (Line, Parameters) {
    let p = Parameters { level, drift: 1.0 - 1.0 / theta };
    let mut line = Line::after_first(values[0], before, &p);
    values[1..].iter().for_each(|value| line.update(*value, &p));
    (line, p)
}

fn assert_close(ours: &[f64], theirs: &[f64], tolerance: f64) {
    for (h, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() <= tolerance * b.abs(), "step {}: {a} is not {b}", h + 1);
    }
}

/// Parameters, the level before the first value, and the means they lead to.
#[test]
fn recursions_are_the_reference_ones() {
    let mut means = [0.0; 8];
    let (line, p) = run(&LAKE_HURON, 104.4970285299181, 0.99, 1.8546529242412608);
    line.expect_all(&p, &mut means);
    let lake = [
        579.9479775,
        579.9374295,
        579.9274475,
        579.9180018,
        579.9090643,
        579.9006086,
        579.8926101,
        579.8850454,
    ];
    assert_close(&means, &lake, 1e-6);
    let (line, p) = run(&TRENDY, -76.23276803493681, 0.9899999999999941, 36.70992528003608);
    line.expect_all(&p, &mut means);
    let trendy = [
        46.70498832,
        47.5055811,
        48.30942806,
        49.1160266,
        49.92495178,
        50.73584319,
        51.54839411,
        52.36234278,
    ];
    assert_close(&means, &trendy, 1e-6);
}

/// The growth of the errors against simulated paths of the model itself, in which each innovation changes later
/// expectations.
#[test]
fn variances_are_those_of_simulated_paths() {
    let mut noise = Random::new(4);
    for (level, theta) in [(0.99, 1.85), (0.3, 4.0), (0.6, 36.7)] {
        let (line, p) = run(&TRENDY, 11.0, level, theta);
        let (mut means, mut growth) = ([0.0; 12], [0.0; 12]);
        line.expect_all(&p, &mut means);
        line.growth(&p, &mut growth);
        let mut squares = [0.0; 12];
        for _ in 0..20_000 {
            let mut path = line;
            for (square, mean) in squares.iter_mut().zip(&means) {
                let value = path.expect(&p) + noise.normal();
                path.update(value, &p);
                *square += (value - mean).powi(2) / 20_000.0;
            }
        }
        assert_close(&growth, &squares, 0.05);
    }
}

/// The reference's fits to the same series: its means, and its simulated 95% intervals, which vary by some percent.
#[test]
fn fits_are_close_to_the_reference() {
    let model = Model::fit_plain(&TRENDY).unwrap();
    let mut means = [0.0; 8];
    model.expect(&mut means);
    let theirs = [
        46.70498832,
        47.5055811,
        48.30942806,
        49.1160266,
        49.92495178,
        50.73584319,
        51.54839411,
        52.36234278,
    ];
    assert_close(&means, &theirs, 0.01);
    let model = Model::fit_plain(&LAKE_HURON).unwrap();
    model.expect(&mut means);
    assert_close(&means, &[579.9; 8], 5e-4);
    let mut variances = [0.0; 8];
    model.variances(&mut variances);
    let [low, high] = [578.50177, 581.2386475];
    let ours = 2.0 * 1.959963985 * variances[0].sqrt();
    assert!((ours - (high - low)).abs() < 0.1 * (high - low), "{ours}");
    let [low, high] = [575.9490356, 584.1773682];
    let ours = 2.0 * 1.959963985 * variances[7].sqrt();
    assert!((ours - (high - low)).abs() < 0.1 * (high - low), "{ours}");
}

#[test]
fn seasons_are_taken_in_proportion_as_by_the_reference() {
    let model = Model::fit(&AIR_PASSENGERS, &[true; 144], &[12]).unwrap();
    assert!(model.adjustment.multiplicative);
    let mut means = [0.0; 12];
    model.expect(&mut means);
    let theirs = [
        442.9271949,
        432.2984008,
        495.4824544,
        482.5753413,
        487.8659933,
        556.1215863,
        616.2229553,
        616.1097305,
        538.4027225,
        470.4105249,
        410.9989937,
        463.4772224,
    ];
    assert_close(&means, &theirs, 0.04);
}

/// Hyndman & Billah, "Unmasking the Theta method", 2003: with θ = 2 the forecasts rise by half the slope
/// of the line through all values.
#[test]
fn theta_two_is_smoothing_with_half_the_drift() {
    let values: Vec<f64> = (0..200).map(|t| 5.0 + 0.7 * f64::from(t)).collect();
    let (line, p) = run(&values, 5.0, 0.4, 2.0);
    assert!((line.slope - 0.7).abs() < 1e-9);
    let mut means = [0.0; 3];
    line.expect_all(&p, &mut means);
    assert!((means[1] - means[0] - 0.35).abs() < 0.01, "{means:?}");
}
