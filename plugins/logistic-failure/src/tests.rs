use haggle_sdk::{
    FailurePrediction, Fault,
    failure_prediction::{Example, MetricSeries, Vitals},
    types::Context,
};
use proptest::prelude::*;

use super::{Calibration, LogisticFailure, Model, assess, features, learn, minimise, probability};

/// A seeded generator (Steele, Lea & Flood's SplitMix64).
struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn vitals(metrics: &[(&str, &[f64])]) -> Vitals {
    let series = |(metric, values): &(&str, &[f64])| MetricSeries {
        metric: (*metric).to_owned(),
        values: values.to_vec(),
    };
    Vitals {
        service: "web".into(),
        instance: "web-1".into(),
        last_at_ms: 0,
        step_ms: 30_000,
        metrics: metrics.iter().map(series).collect(),
    }
}

/// Instances whose log-odds of failing are `-3 + 6 · memory`, independent of the metric `disk`.
fn instances(count: usize, seed: u64) -> (Vec<Example>, Vec<f64>) {
    let mut noise = Noise(seed);
    let mut made = || {
        let (memory, disk) = (noise.uniform(), noise.uniform());
        let truth = probability(-3.0 + 6.0 * memory);
        let values = vitals(&[("memory", &[memory]), ("disk", &[disk])]);
        (Example { vitals: values, failed: noise.uniform() < truth }, truth)
    };
    (0..count).map(|_| made()).unzip()
}

fn taught(examples: &[Example], batch: usize) -> Model {
    let mut model = Model::default();
    examples.chunks(batch).for_each(|batch| learn(&mut model, batch));
    model
}

fn context() -> Context {
    Context { now_ms: 0, seed: 0, configuration: "{}".into() }
}

#[test]
fn features_are_those_computed_by_hand() {
    let sinh = |values: [f64; 4]| values.map(f64::sinh).to_vec();
    let series = MetricSeries { metric: "cpu".into(), values: sinh([1.0, 2.0, 4.0, 5.0]) };
    // On the scale of asinh: mean 3; slope (−1.5·−2 − 0.5·−1 + 0.5·1 + 1.5·2) / 5 = 1.4; variance
    // (4 + 1 + 1 + 4) / 3; the change over a third of four steps is that over one.
    let expected = [5.0, 3.0, 1.4, (10.0_f64 / 3.0).sqrt(), 1.0, 0.0];
    for (feature, expected) in features(&series).into_iter().zip(expected) {
        assert!((feature.unwrap() - expected).abs() < 1e-9, "{feature:?} is not {expected}");
    }
    let gappy =
        MetricSeries { metric: "cpu".into(), values: vec![f64::NAN, 1.0, f64::NAN, f64::NAN] };
    assert_eq!(features(&gappy)[5], Some(0.75));
    assert_eq!(features(&gappy)[2], None);
    let silent = MetricSeries { metric: "cpu".into(), values: Vec::new() };
    assert_eq!(features(&silent)[..5], [None; 5]);
}

#[test]
fn probabilities_are_calibrated_in_one_batch_and_in_many() {
    let (examples, _) = instances(3000, 1);
    let (test, truths) = instances(1000, 2);
    for batch in [3000, 250] {
        let model = taught(&examples, batch);
        let errors = test
            .iter()
            .zip(&truths)
            .map(|(example, truth)| (assess(&model, &example.vitals).probability - truth).abs());
        let mean = errors.sum::<f64>() / 1000.0;
        assert!(mean < 0.04, "off by {mean} on average, {batch} at a time");
    }
}

#[test]
fn rare_failures_get_small_probabilities() {
    let (examples, _) = instances(4000, 3);
    let mut seen = 0;
    let rare = |example: &Example| {
        seen += usize::from(example.failed);
        !example.failed || seen % 40 == 0
    };
    let examples: Vec<Example> = examples.into_iter().filter(rare).collect();
    let rate = examples.iter().filter(|e| e.failed).count() as f64 / examples.len() as f64;
    let model = taught(&examples, examples.len());
    let given = examples.iter().map(|example| assess(&model, &example.vitals).probability);
    let mean = given.sum::<f64>() / examples.len() as f64;
    assert!((mean - rate).abs() < 0.3 * rate, "{mean} is not about {rate}");
}

#[test]
fn contributions_name_what_speaks_for_a_failure() {
    let model = taught(&instances(2000, 4).0, 2000);
    let risk = assess(&model, &vitals(&[("memory", &[0.95]), ("disk", &[0.5])]));
    assert_eq!(risk.contributions[0].metric, "memory");
    assert!(risk.contributions[0].log_odds > 1.0, "{:?}", risk.contributions);
    let healthy = assess(&model, &vitals(&[("memory", &[0.05]), ("disk", &[0.5])]));
    assert!(healthy.contributions[0].log_odds < -1.0);
}

#[test]
fn new_metrics_join_without_changing_what_is_known() {
    let (examples, _) = instances(1000, 5);
    let mut model = taught(&examples, 1000);
    let instance = vitals(&[("memory", &[0.9]), ("disk", &[0.5])]);
    let before = assess(&model, &instance).probability;
    let other = vitals(&[("queue", &[3.0, 4.0])]);
    model.observe([&other].into_iter());
    assert!(model.metrics.contains_key("queue"));
    assert!((assess(&model, &instance).probability - before).abs() < 1e-6);
}

#[test]
fn calibration_corrects_what_is_overconfident() {
    let mut noise = Noise(6);
    let mut outcome = || {
        let x = 8.0 * noise.uniform() - 4.0;
        (2.0 * x + 1.0, noise.uniform() < probability(x))
    };
    let outcomes: Vec<(f64, bool)> = (0..4000).map(|_| outcome()).collect();
    let mut calibration = Calibration::default();
    calibration.learn(&outcomes);
    assert!((calibration.slope - 0.5).abs() < 0.05, "{calibration:?}");
    assert!((calibration.shift + 0.5).abs() < 0.15, "{calibration:?}");
    let mut separable = Calibration::default();
    separable.learn(&[(-1.0, false), (1.0, true)]);
    assert!(separable.slope.is_finite() && separable.slope >= 1.0);
}

#[test]
fn finds_the_minimum_of_a_known_function() {
    // (x − 3)² + 10 (y + 1)² + ln cosh z
    let function = |p: &[f64]| {
        let value = (p[0] - 3.0).powi(2) + 10.0 * (p[1] + 1.0).powi(2) + p[2].cosh().ln();
        (value, vec![2.0 * (p[0] - 3.0), 20.0 * (p[1] + 1.0), p[2].tanh()])
    };
    let found = minimise(vec![0.0, 0.0, 2.0], 100, function);
    for (x, expected) in found.iter().zip([3.0, -1.0, 0.0]) {
        assert!((x - expected).abs() < 1e-2, "{found:?}");
    }
}

#[test]
fn answers_without_a_fitting_model_are_faults() {
    let instance = [vitals(&[("memory", &[0.5])])];
    let fault = |model: Option<&[u8]>, horizon| {
        LogisticFailure::assess(&context(), model, horizon, &instance).remove(0).unwrap_err()
    };
    assert!(matches!(fault(None, 1), Fault::InsufficientData(_)));
    assert!(matches!(fault(Some(b"nonsense"), 1), Fault::IncompatibleModel(_)));
    let model = LogisticFailure::learn(&context(), None, 1, &instances(50, 7).0).unwrap();
    assert!(matches!(fault(Some(&model), 2), Fault::IncompatibleModel(_)));
    assert!(LogisticFailure::assess(&context(), Some(&model), 1, &instance)[0].is_ok());
    assert_eq!(model, LogisticFailure::learn(&context(), None, 1, &instances(50, 7).0).unwrap());
    let untaught = LogisticFailure::learn(&context(), None, 1, &[]).unwrap();
    assert!(matches!(fault(Some(&untaught), 1), Fault::InsufficientData(_)));
}

fn any_values() -> impl Strategy<Value = Vec<f64>> {
    let value = prop_oneof![4 => -10.0..10.0, 1 => any::<f64>(), 1 => Just(f64::NAN)];
    prop::collection::vec(value, 0..6)
}

proptest! {
    #[test]
    fn whatever_is_learnt_probabilities_are_probabilities(
        batches in prop::collection::vec(
            prop::collection::vec((any_values(), any_values(), any::<bool>()), 0..12),
            1..4,
        ),
        instance in any_values(),
    ) {
        let mut bytes = None;
        for batch in batches {
            let example = |(a, b, failed): (Vec<f64>, Vec<f64>, bool)| Example {
                vitals: vitals(&[("a", &a), ("b", &b)]),
                failed,
            };
            let examples: Vec<Example> = batch.into_iter().map(example).collect();
            let learnt = LogisticFailure::learn(&context(), bytes.as_deref(), 1, &examples);
            bytes = Some(learnt.unwrap());
        }
        let instances = [vitals(&[("a", &instance), ("c", &instance)])];
        let answer = LogisticFailure::assess(&context(), bytes.as_deref(), 1, &instances).remove(0);
        if let Ok(risk) = answer {
            prop_assert!(risk.probability > 0.0 && risk.probability < 1.0);
            prop_assert!(risk.contributions.iter().all(|one| one.log_odds.is_finite()));
        }
    }

    #[test]
    fn foreign_bytes_are_refused_or_harmless(place: usize, byte: u8, cut: usize) {
        let mut bytes = taught(&instances(60, 8).0, 60).to_bytes();
        prop_assert!(Model::from_bytes(&bytes[..cut % bytes.len()]).is_err());
        let place = place % bytes.len();
        bytes[place] = byte;
        if let Ok(model) = Model::from_bytes(&bytes) {
            let risk = assess(&model, &vitals(&[("memory", &[0.7]), ("disk", &[1e300])]));
            prop_assert!((0.0..=1.0).contains(&risk.probability));
        }
    }
}
