use std::sync::Arc;

use haggle_model::{Timestamp, Window};

/// The booked amount of one resource over time from `origin` on, stored as a base level and the later
/// changes. A booking costs two entries, whatever its length; equal boundaries share an entry.
///
/// A clone shares the changes. Adding a booking and finding the peak of a window take time logarithmic in
/// the number of changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Calendar {
    /// Bookings before this moment are forgotten.
    origin: Timestamp,
    /// The level at `origin`.
    base: i128,
    /// The level changes at moments after `origin`. No entry is 0.
    changes: Tree,
}

/// A persistent treap (Seidel and Aragon 1996), ordered by time, with the hash of the moment as the heap
/// priority. The same set of changes produces the same tree in any insertion order.
type Tree = Option<Arc<Node>>;

#[derive(Clone, Debug, PartialEq)]
struct Node {
    at: Timestamp,
    change: i128,
    /// The sum of all changes in this subtree.
    sum: i128,
    /// The highest prefix sum over the changes in this subtree; a prefix has at least one change.
    highest: i128,
    left: Tree,
    right: Tree,
}

impl Calendar {
    /// Adds `steps` throughout the window. A negative number removes an earlier booking.
    pub(crate) fn add(&mut self, window: Window, steps: i128) {
        let start = window.start.max(self.origin);
        if start >= window.end || steps == 0 {
            return;
        }
        if start == self.origin {
            self.base += steps;
        } else {
            change(&mut self.changes, start, steps);
        }
        change(&mut self.changes, window.end, -steps);
    }

    /// The highest level within the window, and the first moment at which it is reached. The level is 0 for
    /// a window that is empty or lies before `origin`.
    pub(crate) fn peak(&self, window: Window) -> (i128, Timestamp) {
        let start = window.start.max(self.origin);
        if start >= window.end {
            return (0, start);
        }
        let mut level = self.base + sum_until(&self.changes, start);
        let mut highest = (level, start);
        climb(&self.changes, Some(start), Some(window.end), &mut level, &mut highest);
        highest
    }

    /// The highest level from `origin` on, without an end.
    pub(crate) fn highest(&self) -> (i128, Timestamp) {
        self.peak(Window { start: self.origin, end: Timestamp::from_millis(u64::MAX) })
    }

    /// Forgets all bookings before `now`.
    pub(crate) fn forget_before(&mut self, now: Timestamp) {
        if now <= self.origin {
            return;
        }
        self.origin = now;
        if first(&self.changes).is_some_and(|at| at <= now) {
            let (past, ahead) = split(self.changes.take(), now);
            self.base += sum(&past);
            self.changes = ahead;
        }
    }

    /// Whether no booking remains from `origin` on.
    pub(crate) fn is_flat(&self) -> bool {
        self.base == 0 && self.changes.is_none()
    }
}

impl Node {
    const fn leaf(at: Timestamp, change: i128) -> Self {
        Self { at, change, sum: change, highest: change, left: None, right: None }
    }

    /// Recomputes the sums of this subtree.
    fn add_up(&mut self) {
        let here = sum(&self.left) + self.change;
        self.sum = here + sum(&self.right);
        self.highest = here;
        if let Some(left) = &self.left {
            self.highest = self.highest.max(left.highest);
        }
        if let Some(right) = &self.right {
            self.highest = self.highest.max(here + right.highest);
        }
    }

    /// The first moment at which the prefix sum is highest.
    fn first_highest(&self) -> Timestamp {
        match &self.left {
            Some(left) if left.highest == self.highest => left.first_highest(),
            _ if sum(&self.left) + self.change == self.highest => self.at,
            _ => self.right.as_ref().map_or(self.at, |right| right.first_highest()),
        }
    }

    /// The heap priority of a moment: parents rank above their children. Two moments never have the same
    /// rank, because the finalizer of SplitMix64 (Steele, Lea and Flood 2014) is invertible.
    const fn rank(at: Timestamp) -> u64 {
        let mut z = at.as_millis().wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

fn sum(tree: &Tree) -> i128 {
    tree.as_ref().map_or(0, |node| node.sum)
}

/// The moment of the first change.
fn first(tree: &Tree) -> Option<Timestamp> {
    let mut node = tree.as_ref()?;
    while let Some(left) = &node.left {
        node = left;
    }
    Some(node.at)
}

/// Adds `steps`, which must not be 0, to the change at a moment.
fn change(tree: &mut Tree, at: Timestamp, steps: i128) {
    let Some(here) = tree else {
        *tree = Some(Arc::new(Node::leaf(at, steps)));
        return;
    };
    // A node that ranks higher becomes the parent of the current root.
    if Node::rank(at) > Node::rank(here.at) {
        let mut node = Node::leaf(at, steps);
        (node.left, node.right) = split(tree.take(), at);
        node.add_up();
        *tree = Some(Arc::new(node));
        return;
    }
    let node = Arc::make_mut(here);
    if at < node.at {
        change(&mut node.left, at, steps);
    } else if at > node.at {
        change(&mut node.right, at, steps);
    } else {
        node.change += steps;
        if node.change == 0 {
            *tree = join(node.left.take(), node.right.take());
            return;
        }
    }
    node.add_up();
}

/// Splits the tree into the changes at `at` or before, and the changes after it.
fn split(tree: Tree, at: Timestamp) -> (Tree, Tree) {
    let Some(mut here) = tree else { return (None, None) };
    let node = Arc::make_mut(&mut here);
    if node.at <= at {
        let (before, after) = split(node.right.take(), at);
        node.right = before;
        node.add_up();
        (Some(here), after)
    } else {
        let (before, after) = split(node.left.take(), at);
        node.left = after;
        node.add_up();
        (before, Some(here))
    }
}

/// Joins two trees. All changes of the first lie before all changes of the second.
fn join(first: Tree, second: Tree) -> Tree {
    match (first, second) {
        (Some(mut a), Some(mut b)) => {
            if Node::rank(a.at) > Node::rank(b.at) {
                let node = Arc::make_mut(&mut a);
                node.right = join(node.right.take(), Some(b));
                node.add_up();
                Some(a)
            } else {
                let node = Arc::make_mut(&mut b);
                node.left = join(Some(a), node.left.take());
                node.add_up();
                Some(b)
            }
        }
        (tree, None) | (None, tree) => tree,
    }
}

/// The sum of all changes at `at` or before.
fn sum_until(mut tree: &Tree, at: Timestamp) -> i128 {
    let mut all = 0;
    while let Some(node) = tree {
        if node.at <= at {
            all += sum(&node.left) + node.change;
            tree = &node.right;
        } else {
            tree = &node.left;
        }
    }
    all
}

/// Walks the level over the changes after `after` and before `before`, where these are given. Records the
/// highest level and the first moment at which it is reached.
fn climb(
    tree: &Tree,
    after: Option<Timestamp>,
    before: Option<Timestamp>,
    level: &mut i128,
    highest: &mut (i128, Timestamp),
) {
    let Some(node) = tree else { return };
    if after.is_some_and(|after| node.at <= after) {
        climb(&node.right, after, before, level, highest);
    } else if before.is_some_and(|before| node.at >= before) {
        climb(&node.left, after, before, level, highest);
    } else if after.is_none() && before.is_none() {
        if *level + node.highest > highest.0 {
            *highest = (*level + node.highest, node.first_highest());
        }
        *level += node.sum;
    } else {
        climb(&node.left, after, None, level, highest);
        *level += node.change;
        if *level > highest.0 {
            *highest = (*level, node.at);
        }
        climb(&node.right, None, before, level, highest);
    }
}

/// The amount that a booking of `steps` over `window` adds to `others` if only the larger of the two counts
/// at every moment. Returns the stretches in which the booking is larger, each with the difference.
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
        /// Compares the calendar with an array that has a level for every moment. Forgetting the past does
        /// not change the future.
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
                let first = (from..to).find(|t| levels[*t as usize] == wanted).unwrap_or(from);
                let peak = (wanted, Timestamp::from_millis(first));
                prop_assert_eq!(calendar.peak(window(asked.0, to)), peak);
                let mut again = Calendar { base: calendar.base, ..Calendar::default() };
                again.forget_before(calendar.origin);
                for t in (now + 1)..64 {
                    let change = levels[t as usize] - levels[t as usize - 1];
                    if change != 0 {
                        super::change(&mut again.changes, Timestamp::from_millis(t), change);
                    }
                }
                // The tree and its sums do not depend on the order of the changes.
                prop_assert_eq!(&calendar, &again);
            }
            for (start, end, steps) in booked {
                calendar.add(window(start, end), -steps);
            }
            prop_assert!(calendar.is_flat());
        }
    }
}
