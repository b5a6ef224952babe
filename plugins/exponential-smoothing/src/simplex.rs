//! Minimising without derivatives in a box: the simplex of Nelder & Mead ("A simplex method for function
//! minimization", 1965), with its points clamped to the box.

/// Where to look and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// How far the first simplex reaches from its first corner, relative to the box.
    pub reach: f64,
    /// The number of calls of the function after which it ends, without those for the first simplex.
    pub calls: usize,
    /// It ends when the values of the simplex are as close as this.
    pub tolerance: f64,
}

/// The lowest point found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lowest<const N: usize> {
    /// Where.
    pub point: [f64; N],
    /// The value there; NaN counts as infinite.
    pub value: f64,
}

/// Looks for the minimum of a function in the unit cube of `dimensions` (at most `N`; further
/// coordinates stay as they are) from a start.
pub fn minimise<const N: usize>(
    start: [f64; N],
    dimensions: usize,
    search: Search,
    mut function: impl FnMut(&[f64; N]) -> f64,
) -> Lowest<N> {
    let mut at = |mut point: [f64; N]| {
        point.iter_mut().for_each(|x| *x = x.clamp(0.0, 1.0));
        let value = function(&point);
        Lowest { point, value: if value.is_nan() { f64::INFINITY } else { value } }
    };
    let dimensions = dimensions.min(N);
    let mut simplex = vec![at(start)];
    for axis in 0..dimensions {
        let mut corner = start;
        for x in corner.iter_mut().skip(axis).take(1) {
            *x += if *x + search.reach <= 1.0 { search.reach } else { -search.reach };
        }
        simplex.push(at(corner));
    }
    let mut calls = 0;
    while calls < search.calls && dimensions > 0 {
        simplex.sort_by(|a, b| a.value.total_cmp(&b.value));
        let (Some(best), Some(worst)) = (simplex.first().copied(), simplex.last().copied()) else {
            break;
        };
        if worst.value - best.value <= search.tolerance {
            break;
        }
        let second = simplex.iter().rev().nth(1).map_or(best.value, |corner| corner.value);
        let mut centre = [0.0; N];
        for corner in simplex.iter().take(dimensions) {
            centre.iter_mut().zip(&corner.point).for_each(|(c, x)| *c += x / dimensions as f64);
        }
        let mut towards = |factor: f64| {
            calls += 1;
            let mut point = centre;
            let away = centre.iter().zip(&worst.point).map(|(c, w)| c + factor * (c - w));
            point.iter_mut().zip(away).for_each(|(x, away)| *x = away);
            at(point)
        };
        let reflected = towards(1.0);
        let next = if reflected.value < best.value {
            let expanded = towards(2.0);
            Some(if expanded.value < reflected.value { expanded } else { reflected })
        } else if reflected.value < second {
            Some(reflected)
        } else {
            let outside = reflected.value < worst.value;
            let contracted = towards(if outside { 0.5 } else { -0.5 });
            (contracted.value < reflected.value.min(worst.value)).then_some(contracted)
        };
        if let Some(next) = next {
            simplex.pop();
            simplex.push(next);
            continue;
        }
        for corner in simplex.iter_mut().skip(1) {
            calls += 1;
            let mut point = best.point;
            point.iter_mut().zip(&corner.point).for_each(|(b, x)| *b = 0.5 * (*b + x));
            *corner = at(point);
        }
    }
    let lowest = simplex.iter().copied().min_by(|a, b| a.value.total_cmp(&b.value));
    lowest.unwrap_or(Lowest { point: start, value: f64::INFINITY })
}
