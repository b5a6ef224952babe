use haggle_forecasting::{History, Model, Random};

use crate::{Examples, NEURONS, Network, Readout, Reservoir, WIDTH, reservoir::tanh};

/// Mackey & Glass's equation with a delay of 17, a value every 6 steps: chaos without a season.
fn mackey_glass(count: usize) -> Vec<f64> {
    let mut past: Vec<f64> = vec![1.2; 18];
    for _ in 0..6 * (count + 50) {
        let (now, then) = (past[past.len() - 1], past[past.len() - 18]);
        past.push(now + 0.2 * then / (1.0 + then.powi(10)) - 0.1 * now);
    }
    past.into_iter().skip(318).step_by(6).take(count).collect()
}

#[test]
fn chaos_is_forecast_better_than_by_its_last_value() {
    let values = mackey_glass(1300);
    let (mut off, mut naive) = (0.0, 0.0);
    for origin in (1000..1288).step_by(12) {
        let history = History { values: &values[..origin], start: 0, step: 7 };
        let model = Model::<Network>::fit(history, &[], 6, &[]).unwrap();
        let mean = model.outlook(6, &[], false, &[]).mean;
        for (mean, came) in mean.iter().zip(&values[origin..]) {
            off += (mean - came).abs();
            naive += (values[origin - 1] - came).abs();
        }
    }
    assert!(off < 0.4 * naive, "{off} against {naive}");
}

/// The echo state property: the initial state is forgotten.
#[test]
fn a_reservoir_forgets_its_beginning() {
    let mut random = Random::new(1);
    let mut one = Reservoir::default();
    let mut other = Reservoir { neurons: [0.9; NEURONS] };
    for _ in 0..600 {
        let inputs = [random.normal(), random.normal(), random.normal()];
        one.update(inputs);
        other.update(inputs);
    }
    let apart = one.neurons.iter().zip(&other.neurons).map(|(a, b)| (a - b).abs());
    assert!(apart.fold(0.0, f64::max) < 1e-6);
    assert!(one.neurons.iter().all(|neuron| neuron.abs() < 1.0));
}

#[test]
fn the_hyperbolic_tangent_is_nearly_that() {
    for place in -3000..=3000 {
        let x = f64::from(place) / 100.0;
        assert!((tanh(x) - x.tanh()).abs() < 1e-4 && tanh(x).abs() <= 1.0, "{x}: {}", tanh(x));
    }
}

#[test]
fn a_readout_is_interpolated_between_its_anchors() {
    assert_eq!(Readout::anchors(1), [1]);
    assert_eq!(Readout::anchors(12).last(), Some(&12));
    let map = |value: f64| {
        let mut map = vec![0.0; WIDTH];
        map[0] = value;
        map
    };
    let readout = Readout { maps: vec![(1, map(1.0)), (3, map(5.0))] };
    let mut out = [0.0; 5];
    readout.say(&[1.0; WIDTH], &mut out);
    assert_eq!(out, [1.0, 3.0, 5.0, 5.0, 5.0]);
}

/// Training recovers the linear map that generated the examples.
#[test]
fn a_linear_map_is_recovered() {
    let mut random = Random::new(2);
    let seen: Vec<[f64; WIDTH]> = (0..500).map(|_| [0.0; WIDTH].map(|_| random.normal())).collect();
    let mut examples = Examples::new(&[1, 4]);
    seen.iter().for_each(|row| examples.add(row, &[2.0 * row[3] - row[7], row[1]]));
    let readout = examples.readout(1e-6);
    assert!((readout.maps[0].1[3] - 2.0).abs() < 0.01 && (readout.maps[0].1[7] + 1.0).abs() < 0.01);
    assert!((readout.maps[1].1[1] - 1.0).abs() < 0.01);
}

/// The benchmark of Crowder (1990) and Jang ("ANFIS: Adaptive-network-based fuzzy inference system", 1993): the
/// model learns 500 values of the equation, and forecasts each of the next 500 values 6 time units ahead. The
/// published root mean square errors relative to the deviation are 0.55 (a linear prediction), 0.19 (an
/// autoregressive model), 0.06 (cascade correlation) and 0.02 (a network trained by back-propagation). This network
/// has a few neurons that are not trained, and a strong penalty because loads are noisy. Its error is in between.
#[test]
fn chaos_is_forecast_better_than_by_the_published_linear_prediction() {
    let values = mackey_glass(1000);
    let history = History { values: &values[..500], start: 0, step: 7 };
    let mut model = Model::<Network>::fit(history, &[], 1, &[]).unwrap();
    let (mut squares, mut deviations) = (0.0, 0.0);
    let mean = values[500..].iter().sum::<f64>() / 500.0;
    for (place, came) in values.iter().enumerate().skip(500) {
        squares += (model.outlook(1, &[], false, &[]).mean[0] - came).powi(2);
        deviations += (came - mean).powi(2);
        let next = History { values: &[*came], start: 7 * place as u64, step: 7 };
        assert!(model.resume(next, &[]));
    }
    let relative = (squares / deviations).sqrt();
    assert!(relative < 0.45, "{relative}");
}
