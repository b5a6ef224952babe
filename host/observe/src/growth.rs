//! Recognises counters: series that only grow, and begin again near zero when their source restarts.

use crate::{Readings, TableError, rows::shortened};

/// The growth of a series that looks like a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Growth {
    /// The number of known values.
    pub(crate) values: usize,
    /// How often it begins again.
    pub(crate) resets: usize,
}

/// The fewest values of a counter that begins again.
const LEAST_WITH_RESETS: usize = 24;

/// The fewest values of a counter that never begins again. It is larger, because a load may grow for a while.
const LEAST_WITHOUT: usize = 100;

/// The fewest values between two resets, on average: below that it is a load that repeats.
const LEAST_BETWEEN: usize = 12;

/// Returns the growth of the series if it only grows, except for resets to about zero. Missing values are
/// NaN.
pub(crate) fn only_grows(values: impl IntoIterator<Item = f64>) -> Option<Growth> {
    let mut known = values.into_iter().filter(|value| value.is_finite());
    let mut before = known.next()?;
    let (mut count, mut rises, mut resets, mut largest) = (1_usize, 0_usize, 0_usize, 0.0_f64);
    for value in known {
        count += 1;
        if value >= before {
            rises += usize::from(value > before);
            largest = largest.max(value - before);
        } else if value >= 0.0 && value <= (2.0 * largest).max(0.01 * before).min(0.2 * before) {
            resets += 1;
        } else {
            return None;
        }
        before = value;
    }
    let steps = count - 1 - resets;
    let is_counter = if resets > 0 {
        count >= LEAST_WITH_RESETS && count / (resets + 1) >= LEAST_BETWEEN && rises * 2 >= steps
    } else {
        count >= LEAST_WITHOUT && rises * 20 >= steps * 19
    };
    is_counter.then_some(Growth { values: count, resets })
}

/// Reads the values of the series `id` in a file as `readings` says. A counter that is refused begins again at
/// least `resets` times. For `seconds`, see [`rates`].
pub(crate) fn read_as(
    readings: Readings,
    id: &str,
    values: &mut [f64],
    resets: usize,
    seconds: impl Fn(usize, usize) -> f64,
) -> Result<(), TableError> {
    match readings {
        Readings::Level => {}
        Readings::Checked => {
            let growth = only_grows(values.iter().copied());
            if let Some(growth) = growth.filter(|growth| growth.resets >= resets) {
                let Growth { values, resets } = growth;
                return Err(TableError::Counter { series: shortened(id), values, resets });
            }
        }
        Readings::Counter => rates(values, seconds),
    }
    Ok(())
}

/// Turns a counter into the mean rate between two values. `seconds(i)` is the time between the values `i`
/// and `i + 1`. The rate takes the place of the earlier value; the last place is missing. After a reset, the
/// counter has grown from zero.
fn rates(values: &mut [f64], seconds: impl Fn(usize, usize) -> f64) {
    let mut earlier: Option<(usize, f64)> = None;
    for place in 0..values.len() {
        let Some(value) = values.get(place).copied().filter(|value| value.is_finite()) else {
            continue;
        };
        if let Some((from, before)) = earlier {
            let grown = if value >= before { value - before } else { value };
            let time = seconds(from, place);
            if let Some(rate) = values.get_mut(from) {
                *rate = if time > 0.0 { grown / time } else { f64::NAN };
            }
        }
        earlier = Some((place, value));
    }
    if let Some(last) = earlier.and_then(|(place, _)| values.get_mut(place)) {
        *last = f64::NAN;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{only_grows, rates};

    #[test]
    fn a_counter_grows_and_begins_again() {
        let once = (0..80).map(|i| 1000.0 * f64::from(if i < 50 { i } else { i - 50 }));
        let growth = only_grows(once).unwrap();
        assert_eq!((growth.values, growth.resets), (80, 1));
        assert_eq!(only_grows((0..200).map(|i| 1e6 + f64::from(i) * 7.0)).unwrap().resets, 0);
    }

    #[test]
    fn a_load_is_no_counter() {
        let day = (0..200).map(|i| 100.0 + 50.0 * (f64::from(i) / 12.0).sin());
        assert_eq!(only_grows(day), None);
        // A load that repeats every few steps, a short rise, a constant, and a fall that is no reset.
        assert_eq!(only_grows((0..200).map(|i| f64::from(i % 6))), None);
        assert_eq!(only_grows((0..60).map(f64::from)), None);
        assert_eq!(only_grows((0..200).map(|_| 5.0)), None);
        assert_eq!(only_grows((0..200).map(|i| f64::from(if i < 150 { i } else { i - 75 }))), None);
        assert_eq!(only_grows([]), None);
    }

    #[test]
    fn a_rate_is_what_came_in_a_second() {
        let mut values = [0.0, 60.0, f64::NAN, 180.0, 30.0, 90.0];
        rates(&mut values, |from, to| 60.0 * (to - from) as f64);
        assert_eq!(format!("{values:?}"), "[1.0, 1.0, NaN, 0.5, 1.0, NaN]");
    }

    proptest! {
        #[test]
        fn rates_add_up_to_the_growth(steps in prop::collection::vec(0.0..1e6, 1..50)) {
            let mut sum = 0.0;
            let mut counter: Vec<f64> = vec![0.0];
            for step in &steps {
                sum += step;
                counter.push(sum);
            }
            rates(&mut counter, |_, _| 1.0);
            let total: f64 = counter.iter().filter(|rate| rate.is_finite()).sum();
            prop_assert!((total - sum).abs() <= 1e-6 * sum.max(1.0));
        }
    }
}
