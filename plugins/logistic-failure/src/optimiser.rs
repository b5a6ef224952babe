use std::collections::VecDeque;

/// How many steps the curvature is estimated from.
const HISTORY: usize = 8;
/// How often a step is halved before it is given up.
const HALVINGS: usize = 20;

/// Minimises a convex function by L-BFGS with a backtracking line search (Nocedal & Wright, "Numerical
/// Optimization", 2nd edition, algorithms 7.4 and 3.1). `function` returns its value and gradient. Ends
/// after `most` steps, or where a step no longer helps; the point returned is never worse than `start`.
pub fn minimise(
    start: Vec<f64>,
    most: usize,
    function: impl Fn(&[f64]) -> (f64, Vec<f64>),
) -> Vec<f64> {
    let mut point = start;
    let (mut value, mut gradient) = function(&point);
    let mut history: VecDeque<(Vec<f64>, Vec<f64>, f64)> = VecDeque::new();
    for _ in 0..most {
        let direction = direction(&gradient, &history);
        let descent = dot(&direction, &gradient);
        if descent.is_nan() || descent >= 0.0 {
            break;
        }
        let Some((next, next_value, next_gradient)) =
            line_search(&point, value, &direction, descent, &function)
        else {
            break;
        };
        let moved: Vec<f64> = next.iter().zip(&point).map(|(a, b)| a - b).collect();
        let turned: Vec<f64> = next_gradient.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        let curvature = dot(&moved, &turned);
        if curvature > 1e-12 {
            history.push_front((moved, turned, curvature));
            history.truncate(HISTORY);
        }
        let gain = value - next_value;
        (point, value, gradient) = (next, next_value, next_gradient);
        if gain <= 1e-7 * value.abs().max(1.0) {
            break;
        }
    }
    point
}

/// Minus the estimated inverse curvature times the gradient.
fn direction(gradient: &[f64], history: &VecDeque<(Vec<f64>, Vec<f64>, f64)>) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut parts = Vec::new();
    for (moved, turned, curvature) in history {
        let part = dot(moved, &direction) / curvature;
        add(&mut direction, -part, turned);
        parts.push(part);
    }
    let scale = match history.front() {
        Some((_, turned, curvature)) => curvature / dot(turned, turned),
        // The first step is short, because the scale is not known yet.
        None => 1.0 / dot(gradient, gradient).sqrt().max(1.0),
    };
    direction.iter_mut().for_each(|d| *d *= scale);
    for ((moved, turned, curvature), part) in history.iter().zip(parts).rev() {
        let back = dot(turned, &direction) / curvature;
        add(&mut direction, part - back, moved);
    }
    direction
}

fn line_search(
    point: &[f64],
    value: f64,
    direction: &[f64],
    descent: f64,
    function: &impl Fn(&[f64]) -> (f64, Vec<f64>),
) -> Option<(Vec<f64>, f64, Vec<f64>)> {
    let mut length = 1.0;
    for _ in 0..HALVINGS {
        let mut next = point.to_vec();
        add(&mut next, length, direction);
        let (next_value, gradient) = function(&next);
        if next_value <= value + 1e-4 * length * descent {
            return Some((next, next_value, gradient));
        }
        length /= 2.0;
    }
    None
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn add(to: &mut [f64], times: f64, what: &[f64]) {
    to.iter_mut().zip(what).for_each(|(x, y)| *x += times * y);
}
