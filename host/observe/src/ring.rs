use std::{cmp::Ordering, collections::VecDeque};

use haggle_model::Timestamp;

/// The samples of one series, ordered by time, with unique times; bounded in number. A point takes 16 bytes,
/// and the capacity exceeds the use by at most a quarter.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    points: VecDeque<(Timestamp, f64)>,
}

impl Ring {
    /// Inserts the point at its position, replacing one of the same time. If there are more than `most`
    /// points, the oldest is dropped.
    pub(crate) fn insert(&mut self, at: Timestamp, value: f64, most: usize) {
        let last = self.points.back().map(|(time, _)| at.cmp(time));
        if matches!(last, None | Some(Ordering::Greater)) {
            self.reserve(most);
            self.points.push_back((at, value));
        } else {
            let place = self.points.partition_point(|(time, _)| *time < at);
            match self.points.get_mut(place).filter(|(time, _)| *time == at) {
                Some(point) => point.1 = value,
                None => {
                    self.reserve(most);
                    self.points.insert(place, (at, value));
                }
            }
        }
        while self.points.len() > most {
            self.points.pop_front();
        }
    }

    /// Drops points older than `oldest`.
    pub(crate) fn prune(&mut self, oldest: Timestamp) {
        let stale = self.before(oldest);
        self.points.drain(..stale);
        if self.points.capacity() > 2 * self.points.len().max(8) {
            self.points.shrink_to_fit();
        }
    }

    pub(crate) fn latest(&self) -> Option<(Timestamp, f64)> {
        self.points.back().copied()
    }

    /// Returns the values of up to `count` newest points, oldest first.
    pub(crate) fn recent(&self, count: usize) -> impl Iterator<Item = f64> + '_ {
        let first = self.points.len().saturating_sub(count);
        self.points.range(first..).map(|(_, value)| *value)
    }

    pub(crate) fn first(&self) -> Option<(Timestamp, f64)> {
        self.points.front().copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.points.len()
    }

    /// Returns the points from `start` on and before `end`, oldest first.
    pub(crate) fn between(
        &self,
        start: Timestamp,
        end: Timestamp,
    ) -> impl Iterator<Item = (Timestamp, f64)> + '_ {
        let (first, past) = (self.before(start), self.before(end));
        self.points.range(first..past.max(first)).copied()
    }

    /// Returns the number of points before `at`. Usually it is none or all of them, so check these cases
    /// first: a binary search in thousands of rings would cost more than reading them.
    fn before(&self, at: Timestamp) -> usize {
        match (self.points.front(), self.points.back()) {
            (Some((oldest, _)), _) if *oldest >= at => 0,
            (_, Some((newest, _))) if *newest < at => self.points.len(),
            _ => self.points.partition_point(|(time, _)| *time < at),
        }
    }

    /// Grows by a quarter instead of doubling, because most of many thousand rings keep their size.
    fn reserve(&mut self, most: usize) {
        let length = self.points.len();
        if length == self.points.capacity() {
            let room = (length / 4).max(8).min(most.saturating_add(1).saturating_sub(length));
            self.points.reserve_exact(room.max(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use haggle_model::Timestamp;
    use proptest::prelude::*;

    use super::Ring;

    proptest! {
        #[test]
        fn behaves_as_a_bounded_sorted_map(
            points in prop::collection::vec((0_u64..100, -1e6..1e6), 0..300),
            most in 1_usize..50,
            window in (0_u64..110, 0_u64..110),
        ) {
            let (mut ring, mut map) = (Ring::default(), BTreeMap::new());
            for (at, value) in points {
                ring.insert(Timestamp::from_millis(at), value, most);
                map.insert(at, value);
                if map.len() > most {
                    map.pop_first();
                }
                prop_assert!(ring.points.capacity() <= most + 1 + 8);
            }
            let at = Timestamp::from_millis;
            let seen: Vec<_> =
                ring.between(at(window.0), at(window.1)).map(|(t, v)| (t.as_millis(), v)).collect();
            let expected: Vec<_> =
                map.iter().filter(|(t, _)| (window.0..window.1).contains(*t)).map(|(t, v)| (*t, *v)).collect();
            prop_assert_eq!(seen, expected);
            ring.prune(at(window.0));
            map.retain(|t, _| *t >= window.0);
            prop_assert_eq!(ring.len(), map.len());
            prop_assert_eq!(ring.latest().map(|(t, _)| t.as_millis()), map.keys().next_back().copied());
        }
    }
}
