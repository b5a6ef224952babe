//! Gradient boosting (Friedman, "Greedy function approximation: a gradient boosting machine", 2001) with
//! oblivious trees (as in CatBoost: Prokhorenkova et al., 2018) over histograms (as in LightGBM: Ke et al.,
//! 2017), for the absolute error. Each tree is fitted by weighted squares with weights `1 / |residual|`,
//! which bound the absolute error from above and touch it at the present residuals (Lange, Hunter & Yang,
//! "Optimization transfer using surrogate objective functions", 2000): so no leaf needs a median.
//!
//! Written by hand because the crates do not fit a sandbox without threads and clocks: perpetual 2.3 and
//! forust-ml 0.8 both pull in rayon and rand and keep their models as JSON.

use haggle_forecasting::median;

use crate::{
    table::{BINS, Table},
    tree::{DEPTH, Forest, Split, Tree},
};

/// How a forest is trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Training {
    /// How many trees.
    pub trees: usize,
    /// What each of them counts.
    pub rate: f64,
    /// How many usual rows a leaf is drawn towards 0 by.
    pub ridge: f64,
    /// At most so many rows are looked at for each tree.
    pub rows: usize,
}

impl Default for Training {
    fn default() -> Self {
        Self { trees: 200, rate: 0.15, ridge: 20.0, rows: 30_000 }
    }
}

/// Of every so many features one is left out of each tree.
const LEAVE_OUT: usize = 3;
/// So many rows are looked at even where that is more than a quarter of them.
const FEW: usize = 4_000;
/// A residual counts as at least this share of the usual one.
const SMOOTH: f64 = 0.3;

/// How many rows are counted in a turn.
const TURN: usize = 8;

/// The gradient and the curvature of some rows.
type Sum = [f64; 2];

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
        // Windows over shuffled rows, moving on so that every row has its turn.
        let from = (number * sample / 2) % (count - sample + 1);
        let window = from..from + sample;
        let here = residuals.get(window.clone()).unwrap_or_default();
        let sums = sums(here);
        let mut leaves = vec![0_u8; sample];
        let mut splits: Vec<(usize, u8)> = Vec::new();
        for depth in 0..DEPTH {
            let mut best = (0.0, None);
            for (feature, column) in table.columns.iter().enumerate() {
                if (feature + number).is_multiple_of(LEAVE_OUT) {
                    continue;
                }
                let column = column.get(window.clone()).unwrap_or_default();
                let histogram = histogram(column, &leaves, &sums, 1 << depth);
                let (gain, bin) = best_border(&histogram, training.ridge);
                if gain > best.0 * (1.0 + 1e-9) {
                    best = (gain, Some((feature, bin)));
                }
            }
            let Some((feature, bin)) = best.1 else { break };
            if let Some(column) = table.columns.get(feature) {
                let column = column.get(window.clone()).unwrap_or_default();
                for (leaf, own) in leaves.iter_mut().zip(column) {
                    *leaf |= u8::from(*own > bin) << depth;
                }
            }
            splits.push((feature, bin));
        }
        // Without a split it is a tree of one leaf: what all rows have in common.
        let mut totals = vec![[0.0; 2]; 1 << splits.len()];
        for (leaf, sum) in leaves.iter().zip(&sums) {
            if let Some(total) = totals.get_mut(usize::from(*leaf)) {
                add(total, sum);
            }
        }
        let value = |[gradient, curvature]: &Sum| {
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

/// The weighted residuals and the weights of the rows; the weights are 1 in the mean.
fn sums(residuals: &[f64]) -> Vec<Sum> {
    let mut magnitudes: Vec<f64> = residuals.iter().map(|residual| residual.abs()).collect();
    let least = (SMOOTH * median(&mut magnitudes)).max(1e-6);
    let weight = |residual: &f64| 1.0 / residual.abs().max(least);
    let mean = residuals.iter().map(weight).sum::<f64>() / residuals.len() as f64;
    let sum = |residual: &f64| {
        let weight = weight(residual) / mean;
        [weight * residual, weight]
    };
    residuals.iter().map(sum).collect()
}

/// The sums of each leaf and bin.
fn histogram(column: &[u8], leaves: &[u8], sums: &[Sum], count: usize) -> Vec<Sum> {
    let mut histogram = vec![[0.0; 2]; count * BINS];
    let mut count = |bin: &u8, leaf: &u8, sum: &Sum| {
        if let Some(cell) = histogram.get_mut(usize::from(*leaf) * BINS + usize::from(*bin)) {
            add(cell, sum);
        }
    };
    // Several rows a turn, because a metered sandbox pays for every turn of a loop.
    let (bins, rest_of_bins) = column.as_chunks::<TURN>();
    let (nodes, rest_of_nodes) = leaves.as_chunks::<TURN>();
    let (parts, rest_of_parts) = sums.as_chunks::<TURN>();
    for ((bins, nodes), parts) in bins.iter().zip(nodes).zip(parts) {
        for ((bin, node), part) in bins.iter().zip(nodes).zip(parts) {
            count(bin, node, part);
        }
    }
    for ((bin, node), part) in rest_of_bins.iter().zip(rest_of_nodes).zip(rest_of_parts) {
        count(bin, node, part);
    }
    histogram
}

/// The border after which bin parts all leaves best, and what it gains.
fn best_border(histogram: &[Sum], ridge: f64) -> (f64, u8) {
    let score = |[gradient, curvature]: &Sum| gradient * gradient / (curvature + ridge);
    let mut gains = [0.0; BINS];
    for leaf in histogram.chunks_exact(BINS) {
        let mut all = [0.0; 2];
        leaf.iter().for_each(|cell| add(&mut all, cell));
        let before = score(&all);
        let mut low = [0.0; 2];
        for (gain, cell) in gains.iter_mut().zip(leaf) {
            add(&mut low, cell);
            let high = [all[0] - low[0], all[1] - low[1]];
            *gain += score(&low) + score(&high) - before;
        }
    }
    // There is nothing above the last bin.
    let borders = gains.iter().take(BINS - 1).enumerate();
    let best = borders.max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
    best.map_or((0.0, 0), |(bin, gain)| (*gain, bin as u8))
}

/// Takes a tree's predictions from the residuals of all rows.
fn subtract(table: &Table, splits: &[(usize, u8)], values: &[f32], residuals: &mut [f64]) {
    let mut leaves = vec![0_u8; residuals.len()];
    for (place, (feature, bin)) in splits.iter().enumerate() {
        let Some(column) = table.columns.get(*feature) else { continue };
        for (leaf, own) in leaves.iter_mut().zip(column) {
            *leaf |= u8::from(own > bin) << place;
        }
    }
    for (residual, leaf) in residuals.iter_mut().zip(leaves) {
        *residual -= values.get(usize::from(leaf)).map_or(0.0, |value| f64::from(*value));
    }
}

fn add(sum: &mut Sum, other: &Sum) {
    sum[0] += other[0];
    sum[1] += other[1];
}
