//! Improves the initial state by least squares. The innovations are linear, or nearly so, in the initial state, so
//! that one step of Gauss and Newton finds the best state for given parameters.

use crate::{
    filter::{Distribution, Parameters, State, run},
    form::{Form, Seasonal, Trend},
};

/// Profiles up to this length are refined value by value; longer ones stay as decomposition found them,
/// which costs less and fits noise less.
const LONGEST: usize = 24;
/// The step of the numerical derivatives by the numbers of the state.
const NUDGE: f64 = 1e-4;

/// A better initial state for these parameters; none if the likelihood does not increase.
pub(crate) fn refine(
    values: &[f64],
    form: Form,
    p: &Parameters,
    initial: &State,
    errors: Distribution,
) -> Option<State> {
    let mut count = if form.trend == Trend::None { 1 } else { 2 };
    if form.seasonal != Seasonal::None {
        let first = initial.seasons.first().map(|season| season.profile.len());
        count += first.filter(|length| *length <= LONGEST).unwrap_or(0);
    }
    if values.len() < 2 * count {
        return None;
    }
    let innovations = |state: &State| {
        let mut told = Vec::with_capacity(values.len());
        let mut state = state.clone();
        let totals = run(values, form, p, &mut state, |e| told.push(e));
        (told, totals.deviance(errors))
    };
    let (base, deviance) = innovations(initial);
    let column = |place: usize| {
        let mut moved = initial.clone();
        *number(&mut moved, form, place)? += NUDGE;
        let (mut column, _) = innovations(&moved);
        column.iter_mut().zip(&base).for_each(|(there, here)| *there = (*there - here) / NUDGE);
        Some(column)
    };
    let columns: Vec<Vec<f64>> = (0..count).map(column).collect::<Option<_>>()?;
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    // The lower triangle, row by row.
    let mut matrix: Vec<Vec<f64>> = Vec::with_capacity(count);
    for (row, a) in columns.iter().enumerate() {
        let mut products: Vec<f64> = columns.iter().take(row + 1).map(|b| dot(a, b)).collect();
        // A shift from the level to the profile has no effect; a small ridge keeps the step short.
        products.last_mut().map(|diagonal| *diagonal += 1e-4 * *diagonal + 1e-12)?;
        matrix.push(products);
    }
    let target: Vec<f64> = columns.iter().map(|a| -dot(a, &base)).collect();
    let step = solve(&matrix, &target)?;
    for factor in [1.0, 0.3] {
        let mut next = initial.clone();
        for (place, step) in step.iter().enumerate() {
            *number(&mut next, form, place)? += factor * step;
        }
        let sound = !form.needs_positive()
            || (next.level > 0.0
                && (form.seasonal != Seasonal::Multiplicative
                    || next.seasons.iter().all(|s| s.profile.iter().all(|v| *v > 0.0))));
        if sound && innovations(&next).1 < deviance {
            return Some(next);
        }
    }
    None
}

fn number(state: &mut State, form: Form, place: usize) -> Option<&mut f64> {
    let trend = usize::from(form.trend != Trend::None);
    match place {
        0 => Some(&mut state.level),
        1 if trend == 1 => Some(&mut state.trend),
        _ => state.seasons.first_mut().and_then(|s| s.profile.get_mut(place - 1 - trend)),
    }
}

/// Solves a symmetric positive definite system, its lower triangle given by rows, by Cholesky's factors; none if
/// the system is not positive definite.
#[must_use]
pub fn solve(lower: &[Vec<f64>], target: &[f64]) -> Option<Vec<f64>> {
    let mut factor: Vec<Vec<f64>> = Vec::with_capacity(lower.len());
    for row in lower {
        let mut new: Vec<f64> = Vec::with_capacity(row.len());
        for (entry, above) in row.iter().zip(&factor) {
            let known: f64 = new.iter().zip(above).map(|(a, b)| a * b).sum();
            new.push((entry - known) / above.last()?);
        }
        let square = row.last()? - new.iter().map(|a| a * a).sum::<f64>();
        if square.is_nan() || square <= 0.0 {
            return None;
        }
        new.push(square.sqrt());
        factor.push(new);
    }
    let mut forward: Vec<f64> = Vec::with_capacity(target.len());
    for (row, value) in factor.iter().zip(target) {
        let known: f64 = row.iter().zip(&forward).map(|(a, b)| a * b).sum();
        forward.push((value - known) / row.last()?);
    }
    let mut solution = vec![0.0; forward.len()];
    for (place, row) in factor.iter().enumerate().rev() {
        let value = forward.get(place)? / row.last()?;
        *solution.get_mut(place)? = value;
        forward.iter_mut().zip(row).take(place).for_each(|(f, r)| *f -= r * value);
    }
    Some(solution)
}
