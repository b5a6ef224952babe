//! Chooses the members that forecast a series, and their weights.
//!
//! Ensemble selection (Caruana, Niculescu-Mizil, Crew & Ksikes, "Ensemble selection from libraries of models",
//! 2004): starting from an empty selection, each round adds the member that makes the mean of the selection best. A
//! member can be added repeatedly. Its weight is its share of the choices. Most weights are therefore zero, and the
//! average of a few choices overfits less than free weights would. Later errors count more, because the recent past
//! says more about the future.

/// How many choices are made.
const ROUNDS: usize = 16;
/// The last error counts so many times as much as the first; in between, the factor grows linearly.
const RECENT: f64 = 3.0;

/// The weights of the members, which add up to 1, from their errors at the same places, the earliest first. An
/// unknown error is NaN for all members. If no error is known, the first member gets all the weight.
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

/// The known errors, each times its factor.
fn counting(errors: &[f64]) -> Vec<f64> {
    let later = (RECENT - 1.0) / errors.len() as f64;
    let weighted = errors.iter().enumerate().map(|(place, e)| e * (1.0 + later * place as f64));
    weighted.filter(|error| !error.is_nan()).collect()
}

/// Σ |a + b| over all places.
fn magnitude(a: &[f64], b: &[f64]) -> f64 {
    // Four independent sums: with a single one, each addition would wait for the one before.
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    let mut sums = [0.0; 4];
    for (a, b) in a.iter().zip(b) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += (a + b).abs());
    }
    let rest = a_rest.iter().zip(b_rest).map(|(a, b)| (a + b).abs());
    sums.into_iter().chain(rest).sum()
}
