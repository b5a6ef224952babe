use crate::{
    bytes::{Reader, Unreadable, Writer},
    statistics::median,
};

/// Transforms a series to a scale on which arithmetic is safe: its median becomes 0 and its usual deviation about
/// 1, whatever its magnitude.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// The largest magnitude; the rest is relative to it, so that nothing overflows.
    pub largest: f64,
    /// The median, relative to `largest`.
    pub median: f64,
    /// The usual deviation, relative to `largest`; above 0.
    pub spread: f64,
}

impl Scale {
    /// The scale of a history; none where no value is present. A constant history still has a spread: a share of
    /// its level that shrinks with every further value.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut present: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        let largest = present.iter().fold(0.0_f64, |most, v| most.max(v.abs()));
        if present.is_empty() {
            return None;
        }
        if largest == 0.0 {
            return Some(Self { largest: 0.0, median: 0.0, spread: 1.0 });
        }
        present.iter_mut().for_each(|v| *v /= largest);
        let median = median(&mut present);
        let mut deviations: Vec<f64> = present.iter().map(|v| (v - median).abs()).collect();
        let mean = deviations.iter().sum::<f64>() / deviations.len() as f64;
        let usual = crate::statistics::median(&mut deviations).max(mean / 10.0);
        let confirmed = 0.25 * median.abs() / present.len() as f64;
        Some(Self { largest, median, spread: usual.max(confirmed).max(1e-9) })
    }

    /// Transforms a value to the scale. A missing value stays missing.
    #[must_use]
    pub fn apply(&self, value: f64) -> f64 {
        if self.largest == 0.0 || !value.is_finite() {
            return if value.is_finite() {
                value.signum() * f64::from(value != 0.0)
            } else {
                f64::NAN
            };
        }
        // A later value may be far beyond the history, but its square must stay finite.
        ((value / self.largest - self.median) / self.spread).clamp(-1e100, 1e100)
    }

    /// Transforms a value back; the result is always finite.
    #[inline]
    #[must_use]
    pub fn undo(&self, value: f64) -> f64 {
        let relative = self.median + self.spread * value;
        (relative * self.largest).clamp(f64::MIN, f64::MAX)
    }

    /// Writes it.
    pub fn write(&self, out: &mut Writer) {
        out.numbers(&[self.largest, self.median, self.spread]);
    }

    /// Reads what [`Scale::write`] wrote.
    ///
    /// # Errors
    /// [`Unreadable`] if the numbers cannot be a scale.
    pub fn read(input: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let (largest, median, spread) = (input.finite()?, input.finite()?, input.finite()?);
        let sensible = largest >= 0.0 && median.abs() <= 1.0 && spread > 0.0 && spread <= 2.0;
        if sensible { Ok(Self { largest, median, spread }) } else { Err(Unreadable) }
    }
}
