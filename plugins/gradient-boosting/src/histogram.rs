//! Histograms of gradients and curvature, from which the splits of a tree are chosen.
//!
//! Gradients and curvature are counted in fixed point (Shi, Ke, Chen, Zheng & Liu, "Quantized training of gradient
//! boosting decision trees", 2022, though with as many bits as there is room for): one addition adds both, and sums
//! are exact. Of two children, therefore, only the smaller one is counted, and the other is the difference from the
//! parent.

use crate::table::BINS;

/// The gradient, in the upper half with its sign, and the curvature, in the lower half, of some rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum(u64);

impl Sum {
    fn new(gradient: f64, curvature: f64) -> Self {
        // Both fit into a half.
        let upper = (gradient.round_ties_even() as i32).cast_unsigned();
        Self(u64::from(upper) << 32 | u64::from(curvature.round_ties_even() as u32))
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.0 = self.0.wrapping_add(other.0);
    }

    /// The curvature in its unit.
    fn lower(self) -> u32 {
        self.0 as u32
    }

    /// The sum without a part of it.
    fn without(self, part: Self) -> Self {
        Self(self.0.wrapping_sub(part.0))
    }
}

/// The value of one unit of each half.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unit {
    gradient: f64,
    curvature: f64,
}

/// The largest magnitude of a sum in a half.
const MOST: f64 = (1_u32 << 30) as f64;
/// A lower bound of the largest magnitude, so that rows of zeros have a unit too.
const LEAST: f64 = 1e-100;

impl Unit {
    /// Gradients and curvature (which is above 0) of rows in fixed point, as finely as their sums allow.
    pub(crate) fn of(rows: &[[f64; 2]]) -> (Self, Vec<Sum>) {
        let most = |half: fn(&[f64; 2]) -> f64| {
            let largest = rows.iter().map(half).fold(LEAST, |a, b| if b > a { b } else { a });
            largest * rows.len() as f64 / MOST
        };
        let unit = Self { gradient: most(|[g, _]| g.abs()), curvature: most(|[_, c]| *c) };
        let (gradients, curvatures) = (1.0 / unit.gradient, 1.0 / unit.curvature);
        let sum = |[g, c]: &[f64; 2]| Sum::new(g * gradients, c * curvatures);
        (unit, rows.iter().map(sum).collect())
    }

    /// Gradient and curvature.
    pub(crate) fn read(&self, sum: Sum) -> [f64; 2] {
        let upper = ((sum.0 >> 32) as u32).cast_signed();
        [f64::from(upper) * self.gradient, f64::from(sum.lower()) * self.curvature]
    }
}

/// The sums of a feature's bins, for each node of a depth.
pub(crate) type Histogram = Vec<[Sum; BINS]>;

/// A row to be counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Row {
    pub(crate) sum: Sum,
    pub(crate) place: u32,
    pub(crate) node: u8,
}

/// How many rows or bins one pass of a loop processes, because metering has a cost for every pass.
pub(crate) const TURN: usize = 8;
const _: () = assert!(BINS.is_multiple_of(TURN), "all bins are looked at in whole turns");

/// The histogram of a feature over some rows in so many nodes. `bins` holds the feature's bin of every row.
pub(crate) fn histogram(rows: &[Row], bins: &[u8], nodes: usize) -> Histogram {
    let mut histogram = vec![[Sum::default(); BINS]; nodes];
    let cells = histogram.as_flattened_mut();
    let mut count = |row: &Row| {
        if let Some(bin) = bins.get(row.place as usize)
            && let Some(cell) = cells.get_mut(usize::from(row.node) * BINS + usize::from(*bin))
        {
            cell.add(row.sum);
        }
    };
    let (turns, rest) = rows.as_chunks::<TURN>();
    for rows in turns {
        rows.iter().for_each(&mut count);
    }
    rest.iter().for_each(count);
    histogram
}

/// The histogram of the children: `counted` is that of one child of each node, the upper one if `upper` is set for
/// the node. Lower children keep the numbers of their parents, upper ones follow in the same order.
pub(crate) fn children(
    parents: &[[Sum; BINS]],
    counted: &[[Sum; BINS]],
    upper: &[bool],
) -> Histogram {
    let nodes = parents.len();
    let mut both = vec![[Sum::default(); BINS]; 2 * nodes];
    let (lower, higher) = both.split_at_mut(nodes);
    let pairs = parents.iter().zip(counted).zip(upper);
    for (((parent, counted), upper), children) in pairs.zip(lower.iter_mut().zip(higher)) {
        let (own, other) = if *upper { (children.1, children.0) } else { children };
        for ((own, other), (parent, part)) in
            own.iter_mut().zip(other).zip(parent.iter().zip(counted))
        {
            (*own, *other) = (*part, parent.without(*part));
        }
    }
    both
}

/// Whether the rows above a bin have less curvature than the others.
pub(crate) fn lighter_above(node: &[Sum; BINS], bin: u8) -> bool {
    let (mut low, mut all) = (Sum::default(), Sum::default());
    for (own, cell) in (0..).zip(node) {
        all.add(*cell);
        if own == bin {
            low = all;
        }
    }
    all.without(low).lower() < low.lower()
}

/// The gain of the best border for all nodes, and the bin below that border.
pub(crate) fn best_border(histogram: &[[Sum; BINS]], unit: &Unit, ridge: f64) -> (f64, u8) {
    let score = |[gradient, curvature]: [f64; 2]| gradient * gradient / (curvature + ridge);
    let mut gains = [0.0; BINS];
    for node in histogram {
        let mut all = Sum::default();
        node.iter().for_each(|cell| all.add(*cell));
        let before = score(unit.read(all));
        let mut low = Sum::default();
        let turns = gains.as_chunks_mut::<TURN>().0.iter_mut().zip(node.as_chunks::<TURN>().0);
        for (gains, cells) in turns {
            for (gain, cell) in gains.iter_mut().zip(cells) {
                low.add(*cell);
                *gain += score(unit.read(low)) + score(unit.read(all.without(low))) - before;
            }
        }
    }
    // There is nothing above the last bin.
    let mut best = (0.0, 0);
    for (bin, gain) in gains.iter().take(BINS - 1).enumerate() {
        if *gain > best.0 {
            best = (*gain, bin as u8);
        }
    }
    best
}
