use haggle_model::{Span, Timestamp};

use crate::{Interval, Outlook};

/// The forecast of the sum of `parts`, from the latest start to the earliest end, in the finest step.
/// `None` if the parts have no common step.
///
/// The mean is the sum of the means. The bounds are the sums of the bounds, at the levels that all parts
/// have. This is exact if the errors are fully correlated, as for services with the same visitors.
/// Otherwise the intervals are too wide, which is safe for planning. The result is coherent: totals of
/// totals equal the total of all, and because loads are not negative, no part exceeds the whole. The
/// confidence is the minimum over the parts.
#[must_use]
pub fn total(parts: &[&Outlook]) -> Option<Outlook> {
    let first = parts.first()?;
    let step = parts.iter().map(|part| part.step).min()?;
    let start = parts.iter().map(|part| part.start).max()?;
    let end = parts.iter().map(|part| part.start + part.horizon()).min()?;
    let count =
        usize::try_from(end.since(start).as_millis().checked_div(step.as_millis())?).ok()?;
    let starts = || (0..count as u64).map(|i| start + Span::from_millis(step.as_millis() * i));
    let sum = |of: &dyn Fn(&Outlook) -> Option<Vec<f64>>| -> Option<Vec<f64>> {
        let mut sums = vec![0.0_f64; count];
        for part in parts {
            let values = of(part)?;
            for (sum, from) in sums.iter_mut().zip(starts()) {
                // The sum of the largest possible forecasts could overflow.
                *sum = (*sum + average(part, &values, from, step)).clamp(f64::MIN, f64::MAX);
            }
        }
        Some(sums)
    };
    let at = |part: &Outlook, level: f64| -> Option<Interval> {
        part.intervals.iter().find(|interval| interval.level == level).cloned()
    };
    let interval = |level: f64| {
        let lower = sum(&|part| Some(at(part, level)?.lower))?;
        let upper = sum(&|part| Some(at(part, level)?.upper))?;
        Some(Interval { level, lower, upper })
    };
    let mean = sum(&|part| Some(part.mean.clone())).filter(|mean| !mean.is_empty())?;
    let intervals = first.intervals.iter().filter_map(|own| interval(own.level)).collect();
    let confidence = parts.iter().map(|part| part.confidence).reduce(f64::min)?;
    Some(Outlook { start, step, mean, intervals, confidence })
}

/// The average of `values`, one per step of `part`, over `length` from `from` on. The load is constant
/// within a step. The result is exactly the value if a single step covers that time.
fn average(part: &Outlook, values: &[f64], from: Timestamp, length: Span) -> f64 {
    let (step, length) = (part.step.as_millis().max(1), length.as_millis().max(1));
    let begin = from.since(part.start).as_millis();
    let end = begin.saturating_add(length);
    let shares = (begin / step..end.div_ceil(step)).map(|place| {
        let (first, last) = (place * step, place.saturating_add(1).saturating_mul(step));
        let share = (last.min(end) - first.max(begin)) as f64 / length as f64;
        let value = usize::try_from(place).ok().and_then(|place| values.get(place));
        share * value.copied().unwrap_or(0.0)
    });
    shares.sum()
}

#[cfg(test)]
mod tests {
    use super::total;
    use crate::{Interval, Outlook};
    use haggle_model::{Span, Timestamp};
    use proptest::prelude::*;

    fn outlook(start: u64, step: u64, values: &[(f64, f64, f64)]) -> Outlook {
        let mean: Vec<f64> = values.iter().map(|(mean, ..)| *mean).collect();
        let lower = values.iter().map(|(mean, below, _)| (mean - below).max(0.0)).collect();
        let upper = values.iter().map(|(mean, _, above)| mean + above).collect();
        Outlook {
            start: Timestamp::from_millis(start),
            step: Span::from_millis(step),
            mean,
            intervals: vec![Interval { level: 0.8, lower, upper }],
            confidence: 0.5,
        }
    }

    fn values(count: usize) -> impl Strategy<Value = Vec<(f64, f64, f64)>> {
        prop::collection::vec((0.0..1e6, 0.0..1e6, 0.0..1e6), count)
    }

    proptest! {
        #[test]
        fn the_whole_is_the_sum_and_above_each_part(all in prop::collection::vec(values(4), 1..6)) {
            let parts: Vec<Outlook> = all.iter().map(|values| outlook(100, 10, values)).collect();
            let parts: Vec<&Outlook> = parts.iter().collect();
            let whole = total(&parts).unwrap();
            let bounds = |outlook: &Outlook| {
                let Interval { lower, upper, .. } = outlook.intervals[0].clone();
                [lower, outlook.mean.clone(), upper]
            };
            for step in 0..4 {
                let [lower, mean, upper] = bounds(&whole).map(|values| values[step]);
                let sum: f64 = parts.iter().map(|part| part.mean[step]).sum();
                prop_assert_eq!(mean, sum);
                prop_assert!(lower <= mean && mean <= upper);
                for part in &parts {
                    let own = bounds(part).map(|values| values[step]);
                    prop_assert!(own[0] <= lower && own[1] <= mean && own[2] <= upper);
                }
            }
            let (one, others) = parts.split_at(1);
            if let Some(others) = total(others) {
                let again = total(&[one[0], &others]).unwrap();
                for (a, b) in again.mean.iter().zip(&whole.mean) {
                    prop_assert!((a - b).abs() <= 1e-9 * b.abs());
                }
            }
        }
    }

    #[test]
    fn parts_with_other_steps_meet_where_they_overlap() {
        let point = |value: f64| (value, 0.0, 0.0);
        let coarse = outlook(0, 60, &[point(6.0), point(12.0)]);
        let fine = outlook(30, 20, &[1.0, 2.0, 3.0, 4.0, 5.0].map(point));
        let whole = total(&[&coarse, &fine]).unwrap();
        assert_eq!((whole.start.as_millis(), whole.step.as_millis()), (30, 20));
        // Half of the second of the four steps is within the first coarse one.
        assert_eq!(whole.mean, [7.0, 11.0, 15.0, 16.0]);
        let later = outlook(120, 60, &[point(1.0)]);
        assert_eq!(total(&[&coarse, &later]), None);
        assert_eq!(total(&[]), None);
    }

    #[test]
    fn only_levels_that_all_have_are_totalled() {
        let one = outlook(0, 10, &[(1.0, 1.0, 1.0)]);
        let mut other = one.clone();
        other.intervals[0].level = 0.95;
        other.confidence = 0.1;
        let whole = total(&[&one, &other]).unwrap();
        assert_eq!((whole.intervals.len(), whole.confidence), (0, 0.1));
    }
}
