/// The larger of two numbers, neither of which is NaN. `f64::max` also handles NaN, which takes a function call on
/// a target without an instruction for it.
#[inline]
#[must_use]
pub fn larger(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

/// The smaller of two numbers, see [`larger`].
#[inline]
#[must_use]
pub fn smaller(a: f64, b: f64) -> f64 {
    if a < b { a } else { b }
}

/// The median (the upper one of two middle values); 0 of none. Reorders the values.
#[must_use]
pub fn median(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// The mean; 0 of none.
#[must_use]
pub fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

/// The quantile of a sorted sample, interpolated by Hazen's rule: `n` values represent `n` equal parts of the
/// distribution. None of an empty sample.
#[must_use]
pub fn empirical(sorted: &[f64], probability: f64) -> Option<f64> {
    let place =
        (probability * sorted.len() as f64 - 0.5).clamp(0.0, (sorted.len() as f64 - 1.0).max(0.0));
    let (below, part) = (place.floor(), place.fract());
    let low = sorted.get(below as usize)?;
    let high = sorted.get(below as usize + 1).unwrap_or(low);
    Some(low + (high - low) * part)
}
