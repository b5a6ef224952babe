//! Which blocks describe a history, and with which coefficients.
//!
//! As in Taylor & Letham, "Forecasting at scale" (2018), a series is the sum of a trend that changes its slope,
//! seasons as Fourier series and the effects of events. Instead of sampling a posterior, a ridge regression
//! estimates the coefficients. It gives less weight to outliers (Huber's weights) and to older values. The block
//! that lowers Schwarz's criterion most is added, again and again, until no block lowers it. The criterion counts
//! only the effective number of independent values, because a random walk would otherwise seem to have trends and
//! seasons.

use haggle_forecasting::{Clock, Normal, Prepared, dot, mean, median};

use crate::basis::{Block, Span};

/// A fitted regression.
#[derive(Clone, Debug, PartialEq)]
pub struct Regression {
    /// The time of the trend.
    pub span: Span,
    /// The blocks, the level first.
    pub blocks: Vec<Block>,
    /// The coefficients of their columns.
    pub coefficients: Vec<f64>,
}

/// Residuals beyond so many times the usual one weigh less.
const FAR: f64 = 2.5;
/// The noise is what a fit of all blocks with this share of the penalties leaves.
const FREELY: f64 = 1e-3;
/// The largest autocorrelation at lag 1 that is assumed for noise.
const MOST_REPEATED: f64 = 0.99;
/// The age at which a value has half the weight, as a share of the history's length.
const HALF_LIFE: f64 = 0.6;

impl Regression {
    /// Fits the first `until` values with some of the blocks.
    #[must_use]
    pub fn fit(series: &Prepared, until: usize, blocks: &[Block], clock: &Clock<'_>) -> Self {
        let count = until.min(series.clean.len()).max(1);
        let length = clock.step.saturating_mul(count as u64).max(1);
        let span = Span { start: clock.start, length };
        let all: Vec<Block> =
            [Block::Level, Block::Trend].into_iter().chain(blocks.iter().cloned()).collect();
        let width = all.iter().map(Block::width).sum();
        let mut rows = vec![vec![0.0; width]; count];
        for (block, from) in all.iter().zip(begins(&all)) {
            block.walk(&span, clock, count, |place, column, value| {
                if let Some(cell) = rows.get_mut(place).and_then(|row| row.get_mut(from + column)) {
                    *cell = value;
                }
            });
        }
        let known = series.values.iter().zip(&series.clean).zip(&rows).enumerate();
        let known = known.filter(|(_, ((value, _), _))| !value.is_nan());
        let faded =
            |place: usize| 0.5_f64.powf((count - place) as f64 / (HALF_LIFE * count as f64));
        let examples: Vec<(f64, f64, &[f64])> = known
            .map(|(place, ((_, clean), row))| (faded(place), *clean, row.as_slice()))
            .collect();
        let problem = Problem::new(&all, &examples);
        let chosen = problem.choose();
        let residuals = problem.residuals(&chosen, &problem.solve(&problem.normal, &chosen));
        let coefficients = problem.solve(&gather(&all, &examples, &residuals), &chosen);
        let blocks = chosen.iter().filter_map(|place| all.get(*place).cloned()).collect();
        Self { span, blocks, coefficients }
    }

    /// The sum of the blocks at the next times, one for each place of `means`.
    pub fn expect(&self, clock: &Clock<'_>, means: &mut [f64]) {
        means.fill(0.0);
        let count = means.len();
        for (block, from) in self.blocks.iter().zip(begins(&self.blocks)) {
            let coefficients = self.coefficients.get(from..).unwrap_or_default();
            block.walk(&self.span, clock, count, |place, column, value| {
                if let (Some(mean), Some(b)) = (means.get_mut(place), coefficients.get(column)) {
                    *mean += b * value;
                }
            });
        }
    }
}

/// The first column of each block.
fn begins(blocks: &[Block]) -> impl Iterator<Item = usize> {
    blocks.iter().scan(0, |next, block| {
        let begin = *next;
        *next += block.width();
        Some(begin)
    })
}

/// Weight, value, columns.
type Example<'a> = (f64, f64, &'a [f64]);

/// All blocks that may be chosen, and the examples that they explain.
struct Problem<'a> {
    blocks: &'a [Block],
    examples: &'a [Example<'a>],
    /// The normal equations of the examples.
    normal: Normal,
    penalties: Vec<f64>,
    /// How many independent values the examples are worth.
    worth: f64,
}

impl<'a> Problem<'a> {
    fn new(blocks: &'a [Block], examples: &'a [Example<'a>]) -> Self {
        let count = examples.len() as f64;
        let penalties = blocks.iter().flat_map(|block| block.penalties(count)).collect();
        let normal = gather(blocks, examples, &[]);
        let mut problem = Self { blocks, examples, normal, penalties, worth: count };
        problem.worth *= problem.independent();
        problem
    }

    /// The share of independent values among the examples (Bayley & Hammersley, "The 'effective' number of
    /// independent observations in an autocorrelated time series", 1946). The noise is what all blocks together
    /// cannot explain. The more each value of the noise repeats the one before, the fewer values are independent.
    fn independent(&self) -> f64 {
        let all: Vec<usize> = (0..self.blocks.len()).collect();
        let freely: Vec<f64> = self.penalties.iter().map(|penalty| FREELY * penalty).collect();
        let coefficients = self.normal.solve(&self.columns(&all), &freely).pop();
        let noise = self.residuals(&all, &coefficients.unwrap_or_default());
        let squares = dot(&noise, &noise);
        let products = dot(&noise, noise.get(1..).unwrap_or_default());
        let repeated =
            if squares > 0.0 { (products / squares).clamp(0.0, MOST_REPEATED) } else { 0.0 };
        (1.0 - repeated) / (1.0 + repeated)
    }

    /// The columns of the chosen blocks.
    fn columns(&self, chosen: &[usize]) -> Vec<usize> {
        let all = self.blocks.iter().zip(begins(self.blocks)).enumerate();
        let of_chosen = all.filter(|(place, _)| chosen.contains(place));
        of_chosen.flat_map(|(_, (block, from))| from..from + block.width()).collect()
    }

    fn solve(&self, normal: &Normal, chosen: &[usize]) -> Vec<f64> {
        normal.solve(&self.columns(chosen), &self.penalties).pop().unwrap_or_default()
    }

    fn residuals(&self, chosen: &[usize], coefficients: &[f64]) -> Vec<f64> {
        let columns = self.columns(chosen);
        let residual = |(_, value, row): &Example<'_>| {
            let parts = columns.iter().zip(coefficients);
            value - parts.map(|(c, b)| row.get(*c).copied().unwrap_or(0.0) * b).sum::<f64>()
        };
        self.examples.iter().map(residual).collect()
    }

    /// Starts with the level, and adds the block that lowers the criterion most until none lowers it.
    fn choose(&self) -> Vec<usize> {
        let criterion = |chosen: &[usize]| {
            let coefficients = self.solve(&self.normal, chosen);
            let left = self.residuals(chosen, &coefficients);
            let squares = mean(left.iter().map(|r| r * r)).max(1e-12);
            self.worth * squares.ln() + self.worth.max(1.0).ln() * coefficients.len() as f64
        };
        let mut chosen = vec![0];
        let mut best = criterion(&chosen);
        loop {
            let others = (0..self.blocks.len()).filter(|place| !chosen.contains(place));
            let tried = others.map(|place| {
                let mut with = chosen.clone();
                with.push(place);
                with.sort_unstable();
                (criterion(&with), with)
            });
            match tried.min_by(|a, b| a.0.total_cmp(&b.0)) {
                Some((lower, with)) if lower < best => (best, chosen) = (lower, with),
                _ => return chosen,
            }
        }
    }
}

/// The normal equations of the examples. Examples with large residuals of a first fit weigh less.
fn gather(blocks: &[Block], examples: &[Example<'_>], residuals: &[f64]) -> Normal {
    let width = blocks.iter().map(Block::width).sum();
    let mut magnitudes: Vec<f64> = residuals.iter().map(|r| r.abs()).collect();
    let far = FAR * 1.5 * median(&mut magnitudes).max(1e-6);
    let trusted = residuals.iter().map(|r| (far / r.abs()).min(1.0));
    let trusted = trusted.chain(std::iter::repeat(1.0));
    let weighted = examples.iter().zip(trusted);
    let rows: Vec<(&[f64], f64)> =
        weighted.map(|((weight, _, row), trusted)| (*row, weight * trusted)).collect();
    let mut normal = Normal::new(width, 1);
    normal.add_all(&rows);
    for ((row, weight), (_, value, _)) in rows.iter().zip(examples) {
        normal.aim(0, row, *weight, *value);
    }
    normal
}
