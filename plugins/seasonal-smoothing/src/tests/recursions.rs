use haggle_forecasting::Outliers;

use crate::{Parameters, Reach, Season, State, deviations};

const LEVEL_ONLY: Parameters = Parameters {
    level: 0.8399,
    trend: 0.0,
    damping: 0.0,
    transient: 0.0,
    persistence: 0.0,
    seasonal: [0.0; 2],
};

fn state(level: f64, trend: f64, seasons: Vec<Season>) -> State {
    // So much noise that nothing is cut.
    State { level, trend, transient: 0.0, seasons, noise: 1e12, outliers: Outliers::default() }
}

fn season(profile: &[f64]) -> Season {
    Season { profile: profile.to_vec(), position: 0, seen: u32::MAX }
}

/// Algerian exports from 1960 on: Hyndman & Athanasopoulos, "Forecasting: Principles and Practice",
/// 3rd edition, table 8.1 (its first eight rows).
#[test]
fn levels_are_those_of_the_published_example() {
    let exports = [39.04, 46.24, 19.79, 24.68, 25.08, 22.60, 25.99, 23.43];
    let levels = [39.12, 45.10, 23.84, 24.55, 25.00, 22.99, 25.51, 23.77];
    let mut state = state(39.54, 0.0, Vec::new());
    for (value, level) in exports.into_iter().zip(levels) {
        state.update(value, &LEVEL_ONLY);
        assert!((state.level - level).abs() < 0.011, "{} is not {level}", state.level);
    }
}

/// The component form of additive Holt-Winters with damped trend, as textbooks write it, against the
/// error-correction form.
#[test]
fn both_forms_of_holt_winters_agree() {
    let (alpha, beta, gamma, phi) = (0.4, 0.2, 0.3, 0.9);
    let parameters = Parameters {
        level: alpha,
        trend: alpha * beta,
        damping: phi,
        transient: 0.0,
        persistence: 0.0,
        seasonal: [gamma, 0.0],
    };
    let values = [12.0, 19.0, 7.0, 15.0, 21.0, 4.0, 18.0, 26.0, 11.0, 17.0];
    let (mut level, mut trend, mut seasonal) = (11.0, 0.5, vec![1.0, 6.0, -7.0]);
    let mut ours = state(level, trend, vec![season(&seasonal)]);
    for value in values {
        let before = (level, trend, seasonal.remove(0));
        level = alpha * (value - before.2) + (1.0 - alpha) * (before.0 + phi * before.1);
        trend = beta * (level - before.0) + (1.0 - beta) * phi * before.1;
        // This uses the level after the update; the other form has the factor `1 - alpha` for that.
        seasonal.push(gamma * (value - level) + (1.0 - gamma) * before.2);
        ours.update(value, &parameters);
        assert!((ours.level - level).abs() < 1e-9 && (ours.trend - trend).abs() < 1e-9);
    }
    let reach: Vec<Reach> = Reach::every(&parameters).take(4).collect();
    let expected = level + (phi + phi * phi) * trend + seasonal[1];
    assert!((ours.expect(1, &reach[1]) - expected).abs() < 1e-6);
}

/// The formula sums up the changes of later expectations after one unit of innovation.
#[test]
fn deviations_follow_from_the_response_to_one_innovation() {
    let parameters = Parameters {
        level: 0.3,
        trend: 0.1,
        damping: 0.8,
        transient: 0.4,
        persistence: 0.7,
        seasonal: [0.5, 0.2],
    };
    let seasons = || vec![season(&[0.0; 3]), season(&[0.0; 4])];
    let (mut still, mut moved) = (state(0.0, 0.0, seasons()), state(0.0, 0.0, seasons()));
    still.update(0.0, &parameters);
    moved.update(1.0, &parameters);
    let mut variance = 1.0;
    let reaches = Reach::every(&parameters);
    for ((deviation, reach), ahead) in deviations(&parameters, &[3, 4]).zip(reaches).zip(0..12) {
        assert!((deviation - f64::sqrt(variance)).abs() < 1e-9, "step {}", ahead + 1);
        variance += (moved.expect(ahead, &reach) - still.expect(ahead, &reach)).powi(2);
    }
}

#[test]
fn a_random_walk_spreads_with_the_square_root_of_time() {
    let walk = Parameters { level: 1.0, ..LEVEL_ONLY };
    for (h, deviation) in (1..50).zip(deviations(&walk, &[])) {
        assert!((deviation - f64::from(h).sqrt()).abs() < 1e-12);
    }
}
