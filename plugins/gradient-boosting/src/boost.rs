//! Gradient boosting (Friedman, "Greedy function approximation: a gradient boosting machine", 2001) with oblivious
//! trees (as in CatBoost: Prokhorenkova et al., 2018) over histograms (as in LightGBM: Ke et al., 2017), for the
//! absolute error. Each tree is fitted by weighted squares with weights `1 / |residual|`, which bound the absolute
//! error from above and touch it at the present residuals (Lange, Hunter & Yang, "Optimization transfer using
//! surrogate objective functions", 2000). Therefore no leaf needs a median.
//!
//! Written by hand because the crates do not fit a sandbox without threads and clocks: perpetual 2.3 and
//! forust-ml 0.8 both pull in rayon and rand and keep their models as JSON.

use std::ops::Range;

use haggle_forecasting::{larger, median};

use crate::{
    histogram::{Histogram, Row, Sum, TURN, Unit, best_border, children, histogram, lighter_above},
    table::Table,
    tree::{DEPTH, Forest, Split, Tree},
};

/// How a forest is trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Training {
    /// How many trees.
    pub trees: usize,
    /// The factor by which the predictions of each tree are multiplied.
    pub rate: f64,
    /// Shrinks the value of a leaf towards 0, as so many rows of usual weight would.
    pub ridge: f64,
    /// The largest number of rows for one tree.
    pub rows: usize,
}

impl Default for Training {
    fn default() -> Self {
        Self { trees: 200, rate: 0.15, ridge: 20.0, rows: 30_000 }
    }
}

/// Each tree leaves out one of every so many features.
const LEAVE_OUT: usize = 3;
/// A tree uses a quarter of the rows, but at least so many if there are as many.
const FEW: usize = 4_000;
/// A residual counts as at least this share of the usual one.
const SMOOTH: f64 = 0.3;

/// Trains a forest.
#[must_use]
pub fn train(table: &Table, training: &Training) -> Forest {
    let count = table.targets.len();
    let mut residuals = table.targets.clone();
    let mut forest = Forest::default();
    let sample = training.rows.min(count.div_ceil(4).max(FEW).min(count));
    if sample == 0 {
        return forest;
    }
    for number in 0..training.trees {
        // A window over the shuffled rows, which moves from tree to tree so that every row is used.
        let from = (number * sample / 2) % (count - sample + 1);
        let window = from..from + sample;
        let here = residuals.get(window.clone()).unwrap_or_default();
        let (unit, sums) = Unit::of(&weighted(here));
        let (splits, leaves) = grow(table, window, &unit, &sums, number, training.ridge);
        // A tree without a split has one leaf: an offset for all rows.
        let mut totals = vec![Sum::default(); 1 << splits.len()];
        for (leaf, sum) in leaves.iter().zip(&sums) {
            if let Some(total) = totals.get_mut(usize::from(*leaf)) {
                total.add(*sum);
            }
        }
        let value = |total: &Sum| {
            let [gradient, curvature] = unit.read(*total);
            (training.rate * gradient / (curvature + training.ridge)) as f32
        };
        let leaves: Vec<f32> = totals.iter().map(value).collect();
        subtract(table, &splits, &leaves, &mut residuals);
        let split = |(feature, bin): (usize, u8)| {
            let threshold = table.borders.get(feature).and_then(|b| b.get(usize::from(bin)));
            Split { feature: feature as u8, threshold: threshold.copied().unwrap_or(f32::MAX) }
        };
        forest.trees.push(Tree { splits: splits.into_iter().map(split).collect(), leaves });
    }
    forest
}

/// The splits of one tree over a window of the rows, and the leaf of each row in the window.
fn grow(
    table: &Table,
    window: Range<usize>,
    unit: &Unit,
    sums: &[Sum],
    number: usize,
    ridge: f64,
) -> (Vec<(usize, u8)>, Vec<u8>) {
    let mut leaves = vec![0_u8; sums.len()];
    let mut splits: Vec<(usize, u8)> = Vec::new();
    let asked = |(feature, _): &(usize, &[u8])| !(feature + number).is_multiple_of(LEAVE_OUT);
    let told =
        |(feature, _): &(usize, &[u8])| table.borders.get(*feature).is_some_and(|b| !b.is_empty());
    let columns = table.columns.iter().map(|column| column.get(window.clone()).unwrap_or_default());
    let columns: Vec<(usize, &[u8])> = columns.enumerate().filter(asked).filter(told).collect();
    let row = |(place, sum): (u32, &Sum)| Row { sum: *sum, place, node: 0 };
    let rows: Vec<Row> = (0..).zip(sums).map(row).collect();
    let mut histograms: Vec<Histogram> =
        columns.iter().map(|(_, column)| histogram(&rows, column, 1)).collect();
    while splits.len() < DEPTH {
        let mut best = (0.0, None);
        for (parents, column) in histograms.iter().zip(&columns) {
            let (gain, bin) = best_border(parents, unit, ridge);
            if gain > best.0 * (1.0 + 1e-9) {
                best = (gain, Some((parents, column, bin)));
            }
        }
        let Some((parents, (feature, column), bin)) = best.1 else { break };
        let upper: Vec<bool> = parents.iter().map(|node| lighter_above(node, bin)).collect();
        let depth = splits.len();
        splits.push((*feature, bin));
        let rows = part(&mut leaves, column, bin, depth, sums, &upper);
        if splits.len() < DEPTH {
            for (parents, (_, column)) in histograms.iter_mut().zip(&columns) {
                *parents = children(parents, &histogram(&rows, column, 1 << depth), &upper);
            }
        }
    }
    (splits, leaves)
}

/// Splits every node of a depth at a border. Returns the rows of one child of each node, the upper one if `upper`
/// is set for the node; their node numbers are still those of the parents.
fn part(
    leaves: &mut [u8],
    column: &[u8],
    bin: u8,
    depth: usize,
    sums: &[Sum],
    upper: &[bool],
) -> Vec<Row> {
    // A bit for each node.
    let upper =
        (0..).zip(upper).fold(0_u64, |bits, (node, upper)| bits | u64::from(*upper) << node);
    // Every row is written and only some are kept, because a processor would often mispredict a branch here.
    let mut rows = vec![Row::default(); sums.len()];
    let mut kept = 0;
    let mut look = |place: u32, leaf: &mut u8, own: u8, sum: Sum| {
        let (node, above) = (*leaf, own > bin);
        if let Some(row) = rows.get_mut(kept) {
            *row = Row { sum, place, node };
        }
        kept += usize::from((upper >> (node % 64)) & 1 == u64::from(above));
        *leaf = node | u8::from(above) << depth;
    };
    let (turns, rest) = leaves.as_chunks_mut::<TURN>();
    let ((columns, last), (sums, last_sums)) =
        (column.as_chunks::<TURN>(), sums.as_chunks::<TURN>());
    let mut place = 0;
    for ((leaves, column), sums) in turns.iter_mut().zip(columns).zip(sums) {
        for (((leaf, own), sum), later) in leaves.iter_mut().zip(column).zip(sums).zip(0..) {
            look(place + later, leaf, *own, *sum);
        }
        place += TURN as u32;
    }
    for (((leaf, own), sum), later) in rest.iter_mut().zip(last).zip(last_sums).zip(0..) {
        look(place + later, leaf, *own, *sum);
    }
    rows.truncate(kept);
    rows
}

/// The weighted residuals and the weights of the rows; the weights are 1 in the mean.
fn weighted(residuals: &[f64]) -> Vec<[f64; 2]> {
    let mut magnitudes: Vec<f64> = residuals.iter().map(|residual| residual.abs()).collect();
    let least = (SMOOTH * median(&mut magnitudes)).max(1e-6);
    let weight = |residual: &f64| 1.0 / larger(residual.abs(), least);
    let mean = residuals.iter().map(weight).sum::<f64>() / residuals.len() as f64;
    let both = |residual: &f64| {
        let weight = weight(residual) / mean;
        [weight * residual, weight]
    };
    residuals.iter().map(both).collect()
}

/// How many rows one pass of a loop assigns to leaves.
const ASKED: usize = 64;

/// Subtracts a tree's predictions from the residuals of all rows.
fn subtract(table: &Table, splits: &[(usize, u8)], values: &[f32], residuals: &mut [f64]) {
    let mut leaves = vec![0_u8; residuals.len()];
    for (place, (feature, bin)) in splits.iter().enumerate() {
        let Some(column) = table.columns.get(*feature) else { continue };
        let ask = |leaves: &mut [u8], column: &[u8]| {
            for (leaf, own) in leaves.iter_mut().zip(column) {
                *leaf |= if own > bin { 1 << place } else { 0 };
            }
        };
        let ((turns, rest), (columns, others)) =
            (leaves.as_chunks_mut::<ASKED>(), column.as_chunks::<ASKED>());
        turns.iter_mut().zip(columns).for_each(|(leaves, column)| ask(leaves, column));
        ask(rest, others);
    }
    let take = |residual: &mut f64, leaf: &u8| {
        *residual -= values.get(usize::from(*leaf)).map_or(0.0, |value| f64::from(*value));
    };
    let ((turns, rest), (leaves, others)) =
        (residuals.as_chunks_mut::<TURN>(), leaves.as_chunks::<TURN>());
    for (residuals, leaves) in turns.iter_mut().zip(leaves) {
        residuals.iter_mut().zip(leaves).for_each(|(residual, leaf)| take(residual, leaf));
    }
    rest.iter_mut().zip(others).for_each(|(residual, leaf)| take(residual, leaf));
}
