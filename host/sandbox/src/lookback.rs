use crate::types::Series;

/// What a forecast from a model needs of a window: what came since the history of its fit ended, at `until`
/// in milliseconds since the epoch, and so many values before; all of it where nothing is known of that. At
/// least the last value.
#[must_use]
pub fn since(mut window: Series, until: u64, lookback: Option<u32>) -> Series {
    let known = until.saturating_sub(window.start).checked_div(window.step).unwrap_or(0);
    let needless = lookback.map_or(0, |lookback| known.saturating_sub(lookback.into()));
    let needless = needless.min((window.values.len() as u64).saturating_sub(1));
    window.start = window.start.saturating_add(window.step.saturating_mul(needless));
    window.values.drain(..usize::try_from(needless).unwrap_or(0));
    window
}

#[cfg(test)]
mod tests {
    use super::since;
    use crate::types::Series;

    fn kept(until: u64, lookback: Option<u32>) -> (u64, usize) {
        let values = (0..10).map(f64::from).collect();
        let window = Series { id: "a".into(), start: 1000, step: 60, values, non_negative: false };
        let kept = since(window, until, lookback);
        assert_eq!(kept.values.last(), Some(&9.0));
        let before = (kept.start - 1000) / 60;
        assert_eq!(kept.values.first(), Some(&(before as f64)), "the times still fit");
        (before, kept.values.len())
    }

    #[test]
    fn what_is_new_is_kept_and_as_much_before_as_is_looked_at() {
        let seven = 1000 + 7 * 60;
        assert_eq!(kept(seven, None), (0, 10));
        assert_eq!(kept(seven, Some(0)), (7, 3));
        assert_eq!(kept(seven, Some(2)), (5, 5));
        assert_eq!(kept(seven, Some(100)), (0, 10));
        // Half a step late: the value that has begun then is kept.
        assert_eq!(kept(seven + 30, Some(0)), (7, 3));
        // Nothing is new, the fit ended before the window begins, or long after it.
        assert_eq!(kept(1000 + 10 * 60, Some(0)), (9, 1));
        assert_eq!(kept(0, Some(0)), (0, 10));
        assert_eq!(kept(u64::MAX, Some(0)), (9, 1));
    }
}
