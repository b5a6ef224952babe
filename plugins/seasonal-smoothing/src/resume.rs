use crate::model::{History, Model};

/// A gap of so many steps, or of two periods where that is more, makes a model too old to go on from.
const LONGEST_GAP: u64 = 1000;

impl Model {
    /// Goes on from where the model stands with what the window has beyond it, without a search; a gap
    /// between them counts as missing values. False, and nothing changed, where it cannot: another step, a
    /// window that ends before the model does or begins long after, anything after nothing but zeros.
    #[must_use]
    pub fn resume(&mut self, window: History<'_>) -> bool {
        if window.step != self.step {
            return false;
        }
        // Rounded to whole steps: clocks drift a little.
        let half = self.step / 2;
        let known = self.next.saturating_sub(window.start).saturating_add(half) / self.step;
        let gap = window.start.saturating_sub(self.next).saturating_add(half) / self.step;
        let longest = self.seasons().last().map_or(0, |length| 2 * *length as u64);
        let Some(new) = usize::try_from(known).ok().and_then(|known| window.values.get(known..))
        else {
            return false;
        };
        // Of a history of nothing but zeros no scale is known.
        let woken = self.scale.largest == 0.0 && new.iter().any(|v| v.is_finite() && *v != 0.0);
        if woken || gap > LONGEST_GAP.max(longest) {
            return false;
        }
        for _ in 0..gap {
            self.state.update(f64::NAN, &self.parameters);
        }
        for value in new {
            self.state.update(self.scale.apply(*value), &self.parameters);
        }
        self.next = self.next.saturating_add(self.step.saturating_mul(gap + new.len() as u64));
        true
    }
}
