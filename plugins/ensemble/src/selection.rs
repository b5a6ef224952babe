//! Which members a series is forecast by, and how much each weighs.
//!
//! Ensemble selection (Caruana, Niculescu-Mizil, Crew & Ksikes, "Ensemble selection from libraries of
//! models", 2004): starting from nothing, the member is added, again and again and with repetition, that
//! makes the mean of those chosen best. The weights are shares of the choices, so most are zero, and the
//! average of a few choices does not overfit as free weights would.

/// How many choices are made.
const ROUNDS: usize = 16;

/// Weights, which add up to 1, for members whose errors at the same places are given; NaN is unknown. The
/// first one has it all where nothing is known.
#[must_use]
pub fn select(errors: &[&[f64]]) -> Vec<f64> {
    let mut chosen = vec![0.0; errors.len()];
    let mut sum = vec![0.0; errors.first().map_or(0, |errors| errors.len())];
    for _ in 0..ROUNDS {
        let loss = |errors: &&[f64]| -> f64 {
            let with = sum.iter().zip(*errors).map(|(sum, error)| (sum + error).abs());
            with.filter(|error| !error.is_nan()).sum::<f64>()
        };
        let losses = errors.iter().map(loss).enumerate();
        let Some((best, _)) = losses.min_by(|a, b| a.1.total_cmp(&b.1)) else { break };
        if let (Some(times), Some(errors)) = (chosen.get_mut(best), errors.get(best)) {
            *times += 1.0 / ROUNDS as f64;
            sum.iter_mut().zip(*errors).for_each(|(sum, error)| *sum += error);
        }
    }
    chosen
}
