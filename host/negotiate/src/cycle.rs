//! Solves the loads of services that call each other in a cycle.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A system of services, numbered from 0, that pass load to each other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cycle {
    /// By service: the units that it passes to each other service per unit of its own load.
    ratios: Vec<BTreeMap<usize, f64>>,
}

/// The load around this cycle grows without bound.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Diverges {
    /// The services of the cycle in order; the first is repeated at the end.
    pub(crate) circle: Vec<usize>,
    /// The units that return, over all paths, per unit that enters the cycle; at least 1.
    pub(crate) gain: f64,
}

/// A service that the elimination has removed from the system.
struct Eliminated {
    service: usize,
    /// Its load without the load that the remaining services pass to it.
    own: f64,
    /// The remaining services, and the load that each passes to it per unit of its own.
    from: Vec<(usize, f64)>,
}

/// A gain within this distance of 1 counts as 1, because rounding would dominate the solution.
const CLOSE: f64 = 1e-9;

impl Cycle {
    /// A system of `size` services without connections.
    pub(crate) fn new(size: usize) -> Self {
        Self { ratios: vec![BTreeMap::new(); size] }
    }

    /// Makes `from` pass `ratio` units to `to` per unit of its own load.
    pub(crate) fn connect(&mut self, from: usize, to: usize, ratio: f64) {
        if let Some(row) = self.ratios.get_mut(from)
            && ratio > 0.0
        {
            *row.entry(to).or_insert(0.0) += ratio;
        }
    }

    /// The load of every service for an external `inflow`: the solution x of `(I - Rᵀ) x = inflow`.
    ///
    /// The services are eliminated one by one, and direct connections replace each. `I - Rᵀ` has no
    /// positive entry off its diagonal. It therefore has a non-negative solution for every inflow exactly
    /// if every pivot of the elimination is positive (Fiedler and Pták 1962, on M-matrices). No pivoting is
    /// needed, and the first non-positive pivot identifies the cycle. The elimination is sparse: a ring
    /// takes linear time, and only a system in which every service calls every other takes cubic time.
    pub(crate) fn solve(&self, inflow: &[f64]) -> Result<Vec<f64>, Diverges> {
        let size = self.ratios.len();
        let touched = self.reached(inflow);
        let mut to = self.ratios.clone();
        let mut from: Vec<BTreeMap<usize, f64>> = vec![BTreeMap::new(); size];
        for (i, row) in to.iter().enumerate() {
            for (j, ratio) in row {
                if let Some(column) = from.get_mut(*j)
                    && touched.contains(&i)
                {
                    column.insert(i, *ratio);
                }
            }
        }
        let mut load = inflow.to_vec();
        let mut order = Vec::with_capacity(touched.len());
        for k in touched.iter().copied() {
            let out = to.get_mut(k).map(std::mem::take).unwrap_or_default();
            let mut into = from.get_mut(k).map(std::mem::take).unwrap_or_default();
            let gain = into.remove(&k).unwrap_or(0.0);
            if gain >= 1.0 - CLOSE {
                return Err(Diverges { circle: self.circle(k, &touched), gain });
            }
            let factor = 1.0 / (1.0 - gain);
            let own = load.get(k).copied().unwrap_or(0.0) * factor;
            for (j, ratio) in out.into_iter().filter(|(j, _)| *j != k) {
                bump(&mut load, j, own * ratio);
                if let Some(column) = from.get_mut(j) {
                    column.remove(&k);
                }
                for (i, incoming) in &into {
                    let around = incoming * factor * ratio;
                    for (side, key, other) in [(&mut to, *i, j), (&mut from, j, *i)] {
                        if let Some(row) = side.get_mut(key) {
                            *row.entry(other).or_insert(0.0) += around;
                        }
                    }
                }
            }
            let into: Vec<_> = into.into_iter().map(|(i, ratio)| (i, ratio * factor)).collect();
            for (i, _) in &into {
                if let Some(row) = to.get_mut(*i) {
                    row.remove(&k);
                }
            }
            order.push(Eliminated { service: k, own, from: into });
        }
        let mut solution = vec![0.0; size];
        for Eliminated { service, own, from } in order.into_iter().rev() {
            let rest: f64 = from
                .iter()
                .map(|(i, ratio)| solution.get(*i).copied().unwrap_or(0.0) * ratio)
                .sum();
            bump(&mut solution, service, own + rest);
        }
        Ok(solution)
    }

    /// The services that receive any load.
    fn reached(&self, inflow: &[f64]) -> BTreeSet<usize> {
        let mut reached: BTreeSet<usize> =
            inflow.iter().enumerate().filter(|(_, load)| **load > 0.0).map(|(i, _)| i).collect();
        let mut queue: VecDeque<usize> = reached.iter().copied().collect();
        while let Some(i) = queue.pop_front() {
            for j in self.ratios.get(i).into_iter().flat_map(BTreeMap::keys) {
                if reached.insert(*j) {
                    queue.push_back(*j);
                }
            }
        }
        reached
    }

    /// A shortest path from `k` back to itself over the services eliminated before it. The load that
    /// returns to `k` passes only over those services.
    fn circle(&self, k: usize, touched: &BTreeSet<usize>) -> Vec<usize> {
        let mut before = BTreeMap::new();
        let mut queue = VecDeque::from([k]);
        while let Some(i) = queue.pop_front() {
            for j in self.ratios.get(i).into_iter().flat_map(BTreeMap::keys).copied() {
                if j <= k && touched.contains(&j) && !before.contains_key(&j) {
                    before.insert(j, i);
                    queue.push_back(j);
                }
            }
        }
        let mut circle = vec![k];
        let mut at = k;
        while let Some(previous) = before.remove(&at) {
            circle.push(previous);
            at = previous;
            if at == k {
                break;
            }
        }
        circle.reverse();
        circle
    }
}

fn bump(all: &mut [f64], at: usize, amount: f64) {
    if let Some(here) = all.get_mut(at) {
        *here += amount;
    }
}

#[cfg(test)]
mod tests {
    use super::Cycle;
    use proptest::prelude::*;

    #[test]
    fn adds_up_the_geometric_series() {
        let mut pair = Cycle::new(2);
        pair.connect(0, 1, 1.0);
        pair.connect(1, 0, 0.5);
        assert_eq!(pair.solve(&[10.0, 0.0]).unwrap(), [20.0, 20.0]);
    }

    #[test]
    fn names_the_circle_that_grows() {
        let mut three = Cycle::new(3);
        three.connect(0, 1, 1.0);
        three.connect(1, 2, 2.0);
        three.connect(2, 1, 0.5);
        let error = three.solve(&[1.0, 0.0, 0.0]).unwrap_err();
        assert_eq!(error.circle, [2, 1, 2]);
        assert!((error.gain - 1.0).abs() < 1e-12);
        assert_eq!(three.solve(&[0.0; 3]).unwrap(), [0.0; 3], "no load, no growth");
    }

    #[test]
    fn a_ring_of_thousands_costs_little() {
        let size = 20_000;
        let mut ring = Cycle::new(size);
        for i in 0..size {
            ring.connect(i, (i + 1) % size, if i == 0 { 0.5 } else { 1.0 });
        }
        let mut inflow = vec![0.0; size];
        inflow[0] = 1.0;
        let load = ring.solve(&inflow).unwrap();
        assert!((load[0] - 2.0).abs() < 1e-9 && (load[size - 1] - 1.0).abs() < 1e-9);
    }

    proptest! {
        /// A solution satisfies the equations. If there is no solution, the load does grow.
        #[test]
        fn solves_the_equations(
            size in 1_usize..7,
            ratios in prop::collection::vec(prop_oneof![Just(0.0), 0.0..0.6_f64], 49),
            inflow in prop::collection::vec(0.0..10.0_f64, 7),
        ) {
            let mut cycle = Cycle::new(size);
            let ratio = |i: usize, j: usize| ratios[i * 7 + j];
            for i in 0..size {
                for j in 0..size {
                    cycle.connect(i, j, ratio(i, j));
                }
            }
            let inflow = &inflow[..size];
            let next = |x: &[f64]| -> Vec<f64> {
                (0..size).map(|j| inflow[j] + (0..size).map(|i| x[i] * ratio(i, j)).sum::<f64>()).collect()
            };
            match cycle.solve(inflow) {
                Ok(x) => {
                    for (a, b) in x.iter().zip(next(&x)) {
                        prop_assert!(*a >= 0.0 && (a - b).abs() <= 1e-6 * a.max(1.0), "{a} {b}");
                    }
                }
                Err(error) => {
                    prop_assert!(error.gain > 0.999 && error.circle.first() == error.circle.last());
                    // No power of the ratio matrix has a norm below the same power of its growth rate.
                    let mut x = vec![1.0; size];
                    for _ in 0..256 {
                        x = (0..size).map(|j| (0..size).map(|i| x[i] * ratio(i, j)).sum()).collect();
                    }
                    prop_assert!(x.iter().sum::<f64>() > 0.99);
                }
            }
        }
    }
}
