use std::ops::Bound::{Excluded, Included, Unbounded};

use haggle_model::{Timestamp, Window};
use imbl::OrdMap;

/// How much of one resource is booked at every moment from `origin` on: a level there and the
/// changes after it. A booking costs two entries, however long it is; equal boundaries share one.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Calendar {
    /// The past before it is forgotten.
    origin: Timestamp,
    /// The level at `origin`.
    base: i128,
    /// By how much the level changes, at moments after `origin`; none is 0.
    changes: OrdMap<Timestamp, i128>,
}

impl Calendar {
    /// Adds `steps` throughout the window; a negative number takes an earlier booking back.
    pub(crate) fn add(&mut self, window: Window, steps: i128) {
        let start = window.start.max(self.origin);
        if start >= window.end {
            return;
        }
        if start == self.origin {
            self.base += steps;
        } else {
            self.change(start, steps);
        }
        self.change(window.end, -steps);
    }

    /// The highest level within the window, and the first moment that has it; the level of a window
    /// that is empty or forgotten is 0.
    pub(crate) fn peak(&self, window: Window) -> (i128, Timestamp) {
        let start = window.start.max(self.origin);
        if start >= window.end {
            return (0, start);
        }
        let mut level = self.base
            + self
                .changes
                .range((Unbounded, Included(start)))
                .map(|(_, change)| change)
                .sum::<i128>();
        let mut highest = (level, start);
        for (at, change) in self.changes.range((Excluded(start), Excluded(window.end))) {
            level += change;
            if level > highest.0 {
                highest = (level, *at);
            }
        }
        highest
    }

    /// The highest level from `origin` to the end of time.
    pub(crate) fn highest(&self) -> (i128, Timestamp) {
        self.peak(Window { start: self.origin, end: Timestamp::from_millis(u64::MAX) })
    }

    /// Forgets what was before `now`.
    pub(crate) fn forget_before(&mut self, now: Timestamp) {
        if now <= self.origin {
            return;
        }
        while let Some((at, change)) = self.changes.get_min().copied()
            && at <= now
        {
            self.base += change;
            self.changes.remove(&at);
        }
        self.origin = now;
    }

    /// Whether nothing is booked from `origin` on.
    pub(crate) fn is_flat(&self) -> bool {
        self.base == 0 && self.changes.is_empty()
    }

    fn change(&mut self, at: Timestamp, steps: i128) {
        match self.changes.get_mut(&at) {
            Some(here) => {
                *here += steps;
                if *here == 0 {
                    self.changes.remove(&at);
                }
            }
            None if steps != 0 => drop(self.changes.insert(at, steps)),
            None => {}
        }
    }
}

/// What a booking of `steps` over `window` adds above `others`, where the larger of the two counts at
/// every moment: the stretches where it is the larger one, and by how much.
pub(crate) fn above(window: Window, steps: i128, others: &[(Window, i128)]) -> Vec<(Window, i128)> {
    let inside = |at: &Timestamp| window.start < *at && *at < window.end;
    let mut cuts: Vec<Timestamp> =
        others.iter().flat_map(|(other, _)| [other.start, other.end]).filter(inside).collect();
    cuts.extend([window.start, window.end]);
    cuts.sort_unstable();
    cuts.dedup();
    cuts.iter()
        .zip(cuts.iter().skip(1))
        .filter_map(|(start, end)| {
            let below: i128 =
                others.iter().filter(|(other, _)| other.contains(*start)).map(|(_, n)| n).sum();
            (steps > below).then_some((Window { start: *start, end: *end }, steps - below))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Calendar, above};
    use haggle_model::{Timestamp, Window};
    use proptest::prelude::*;

    fn window(start: u64, end: u64) -> Window {
        Window { start: Timestamp::from_millis(start), end: Timestamp::from_millis(end) }
    }

    #[test]
    fn the_larger_counts_at_every_moment() {
        let parts = above(window(0, 10), 5, &[(window(2, 4), 3), (window(3, 20), 4)]);
        let wanted = [(window(0, 2), 5), (window(2, 3), 2), (window(4, 10), 1)];
        assert_eq!(parts, wanted);
    }

    proptest! {
        /// Against a level for every single moment; forgetting the past changes nothing ahead of it.
        #[test]
        fn agrees_with_an_array(
            bookings in prop::collection::vec((0_u64..30, 1_u64..10, 1_i128..9, any::<bool>(), 0_u64..30), 0..20),
            asked in (0_u64..30, 1_u64..10),
        ) {
            let mut calendar = Calendar::default();
            let mut levels = [0_i128; 64];
            let mut booked = Vec::new();
            let mut now = 0;
            for (start, length, steps, back, at) in bookings {
                now = now.max(at.min(15));
                calendar.forget_before(Timestamp::from_millis(now));
                let (sign, (start, end, steps)) = match booked.pop() {
                    Some(earlier) if back => (-1, earlier),
                    other => {
                        booked.extend(other);
                        booked.push((start, start + length, steps));
                        (1, (start, start + length, steps))
                    }
                };
                calendar.add(window(start, end), sign * steps);
                for level in &mut levels[start as usize..end as usize] {
                    *level += sign * steps;
                }
                let from = asked.0.max(now);
                let to = asked.0 + asked.1;
                let wanted = (from..to).map(|t| levels[t as usize]).max().unwrap_or(0);
                prop_assert_eq!(calendar.peak(window(asked.0, to)).0, wanted);
            }
            for (start, end, steps) in booked {
                calendar.add(window(start, end), -steps);
            }
            prop_assert!(calendar.is_flat());
        }
    }
}
