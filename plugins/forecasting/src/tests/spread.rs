use crate::{Quantiles, Random, Spread, Track, confidence, normal};

/// Errors of several origins, each multiplied by the restlessness at its origin.
fn track(origins: usize, horizon: usize, restless: impl Fn(usize) -> f64) -> (Track, Vec<f64>) {
    let mut random = Random::new(8);
    let restless: Vec<f64> = (0..origins).map(restless).collect();
    let errors = restless.iter().flat_map(|now| {
        (1..=horizon).map(|h| now * (h as f64).sqrt() * random.normal()).collect::<Vec<_>>()
    });
    let errors = errors.collect();
    (Track { origins: (0..origins).map(|o| 3 * o).collect(), horizon, errors }, restless)
}

#[test]
fn scales_follow_the_steps_and_grow_beyond_them() {
    let (track, restless) = track(400, 16, |_| 1.0);
    let mut growth: Vec<f64> = (1..=64).map(|h| f64::from(h).sqrt()).collect();
    let spread = Spread::of(&track, &restless, 1e-3, &growth[..16]);
    // The mean magnitude of a standard normal number is 0.798.
    spread.scale(&mut growth);
    for (h, scale) in (1..).zip(growth) {
        let expected = 0.798 * f64::from(h).sqrt();
        assert!((scale / expected - 1.0).abs() < 0.15, "step {h}: {scale} is not {expected}");
    }
}

#[test]
fn restlessness_counts_where_it_tells_something() {
    let (told, restless) = track(400, 4, |o| if o % 100 < 50 { 0.2 } else { 2.0 });
    let spread = Spread::of(&told, &restless, 1e-3, &[1.0; 4]);
    assert!(spread.response > 0.5 && spread.factor(2.0) > 4.0 * spread.factor(0.2));
    let (other, _) = track(400, 4, |_| 1.0);
    let spread = Spread::of(&other, &restless, 1e-3, &[1.0; 4]);
    assert_eq!(spread.factor(2.0), spread.factor(0.2));
}

#[test]
fn quantiles_of_many_normal_errors_are_the_normal_ones() {
    let mut random = Random::new(9);
    let mut errors: Vec<f64> = (0..20_000).map(|_| random.normal()).collect();
    let quantiles = Quantiles::of(&mut errors, 1.0, 20_000.0);
    for p in [0.025, 0.1, 0.5, 0.9, 0.975] {
        assert!((quantiles.at(p) - normal(p)).abs() < 0.06, "{p}: {}", quantiles.at(p));
    }
    let few = Quantiles::of(&mut [0.1, -0.1, 0.05, -0.2], 1.0, 4.0);
    assert!(few.at(0.975) > 1.0, "four errors do not make a narrow interval: {}", few.at(0.975));
    assert!(Quantiles::of(&mut [], 1.0, 0.0).values.is_sorted());
}

#[test]
fn confidence_falls_with_the_error_and_grows_with_what_is_known() {
    assert!(confidence(1.0, 1.0, 500) > confidence(3.0, 1.0, 500));
    assert!(confidence(1.0, 1.0, 500) > confidence(1.0, 1.0, 10));
    assert_eq!(confidence(1.0, 1.0, 0), 0.0);
    assert_eq!(confidence(f64::NAN, 1.0, 10), 0.0);
}
