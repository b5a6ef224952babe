//! Which members a series is forecast by, and how much each weighs.
//!
//! Ensemble selection (Caruana, Niculescu-Mizil, Crew & Ksikes, "Ensemble selection from libraries of
//! models", 2004): starting from nothing, the member is added, again and again and with repetition, that
//! makes the mean of those chosen best. The weights are shares of the choices, so most are zero, and the
//! average of a few choices does not overfit as free weights would. Later errors count for more: what a
//! series was like lately says more about what comes.

/// How many choices are made.
const ROUNDS: usize = 16;
/// The last error counts so many times as much as the first; those between lie on a line.
const RECENT: f64 = 3.0;

/// Weights, which add up to 1, for members whose errors at the same places, the earliest first, are given;
/// NaN is unknown, and so for all members alike. The first one has it all where nothing is known.
#[must_use]
pub fn select(errors: &[&[f64]]) -> Vec<f64> {
    let counting: Vec<Vec<f64>> = errors.iter().map(|errors| counting(errors)).collect();
    let mut chosen = vec![0.0; errors.len()];
    let mut sum = vec![0.0; counting.first().map_or(0, Vec::len)];
    for _ in 0..ROUNDS {
        let losses = counting.iter().map(|errors| magnitude(&sum, errors)).enumerate();
        let Some((best, _)) = losses.min_by(|a, b| a.1.total_cmp(&b.1)) else { break };
        if let (Some(times), Some(errors)) = (chosen.get_mut(best), counting.get(best)) {
            *times += 1.0 / ROUNDS as f64;
            sum.iter_mut().zip(errors).for_each(|(sum, error)| *sum += error);
        }
    }
    chosen
}

/// The errors that are known, as much as they count.
fn counting(errors: &[f64]) -> Vec<f64> {
    let later = (RECENT - 1.0) / errors.len() as f64;
    let weighted = errors.iter().enumerate().map(|(place, e)| e * (1.0 + later * place as f64));
    weighted.filter(|error| !error.is_nan()).collect()
}

/// The sum of the magnitudes of the sums of both, place by place.
fn magnitude(a: &[f64], b: &[f64]) -> f64 {
    // Four sums at once: a single one waits for itself at every place.
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    let mut sums = [0.0; 4];
    for (a, b) in a.iter().zip(b) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += (a + b).abs());
    }
    let rest = a_rest.iter().zip(b_rest).map(|(a, b)| (a + b).abs());
    sums.into_iter().chain(rest).sum()
}
