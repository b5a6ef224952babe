use crate::types::Series;

/// The part of a window that a forecast from a model needs: the values since the end of the fit's history, at
/// `until_ms`, and `lookback` values before them. If the plugin gave no lookback, this is the whole window.
/// The result has at least the last value.
#[must_use]
pub fn since(mut window: Series, until_ms: u64, lookback: Option<u32>) -> Series {
    let count = window.values.len() as u64;
    // The value at `last_at_ms` covers the step that begins then.
    let end = window.last_at_ms.saturating_add(window.step_ms);
    let new = end.saturating_sub(until_ms).div_ceil(window.step_ms.max(1)).min(count);
    let needless = lookback.map_or(0, |lookback| (count - new).saturating_sub(lookback.into()));
    let needless = needless.min(count.saturating_sub(1));
    window.values.drain(..usize::try_from(needless).unwrap_or(0));
    window
}

#[cfg(test)]
mod tests {
    use super::since;
    use crate::types::Series;

    fn kept(until_ms: u64, lookback: Option<u32>) -> (u64, usize) {
        let values = (0..10).map(f64::from).collect();
        let (last_at_ms, step_ms) = (1000 + 9 * 60, 60);
        let window = Series { id: "a".into(), last_at_ms, step_ms, values, non_negative: false };
        let kept = since(window, until_ms, lookback);
        assert_eq!((kept.values.last(), kept.last_at_ms), (Some(&9.0), last_at_ms));
        let before = 10 - kept.values.len();
        assert_eq!(kept.values.first(), Some(&(before as f64)));
        (before as u64, kept.values.len())
    }

    #[test]
    fn what_is_new_is_kept_and_as_much_before_as_is_looked_at() {
        let seven = 1000 + 7 * 60;
        assert_eq!(kept(seven, None), (0, 10));
        assert_eq!(kept(seven, Some(0)), (7, 3));
        assert_eq!(kept(seven, Some(2)), (5, 5));
        assert_eq!(kept(seven, Some(100)), (0, 10));
        // Half a step late: the value whose step has begun is kept.
        assert_eq!(kept(seven + 30, Some(0)), (7, 3));
        // Nothing is new; the fit ended before the window begins; the fit ended long after the window.
        assert_eq!(kept(1000 + 10 * 60, Some(0)), (9, 1));
        assert_eq!(kept(0, Some(0)), (0, 10));
        assert_eq!(kept(u64::MAX, Some(0)), (9, 1));
    }
}
