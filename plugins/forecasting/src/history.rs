/// The values of a series and their times.
#[derive(Clone, Copy, Debug)]
pub struct History<'a> {
    /// The values, oldest first; NaN is missing.
    pub values: &'a [f64],
    /// The time of the first one, in milliseconds since the epoch.
    pub start: u64,
    /// The distance between two, in milliseconds; never 0.
    pub step: u64,
}

/// How a window of recent values continues the state of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resumption<'a> {
    /// How many values are missing between the model's last value and the window.
    pub gap: usize,
    /// The values that are new to the model.
    pub new: &'a [f64],
}

/// The longest gap, in steps, after which a model can resume; or two periods of its season, if these are longer.
const LONGEST_GAP: usize = 1000;

impl<'a> History<'a> {
    /// The values of this window that are new to a model whose next value is at `next`. None if the window does not
    /// continue the model: it has another step, ends before the model does, or begins too long after it.
    #[must_use]
    pub fn beyond(&self, next: u64, step: u64, season: usize) -> Option<Resumption<'a>> {
        if self.step != step || step == 0 {
            return None;
        }
        // Rounded to whole steps: clocks drift a little.
        let half = step / 2;
        let known = next.saturating_sub(self.start).saturating_add(half) / step;
        let gap = self.start.saturating_sub(next).saturating_add(half) / step;
        let gap = usize::try_from(gap).ok()?;
        let new = self.values.get(usize::try_from(known).ok()?..)?;
        (gap <= LONGEST_GAP.max(2 * season)).then_some(Resumption { gap, new })
    }
}
