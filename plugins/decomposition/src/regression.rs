//! Which blocks describe a history, and with which coefficients.
//!
//! As in Taylor & Letham, "Forecasting at scale" (2018), a series is the sum of a trend that changes its
//! slope, seasons as Fourier series and the effects of events; the coefficients are those of a ridge
//! regression instead of a sampled posterior, in which outliers weigh less (Huber's weights) and the past
//! fades. Blocks are chosen one after another by Schwarz's criterion.

use haggle_forecasting::{Clock, Normal, Prepared, dot, mean, median};

use crate::basis::{Block, Span};

/// A fitted regression.
#[derive(Clone, Debug, PartialEq)]
pub struct Regression {
    /// The time of the trend.
    pub span: Span,
    /// The blocks, the trend first.
    pub blocks: Vec<Block>,
    /// The coefficients of their columns.
    pub coefficients: Vec<f64>,
}

/// Residuals beyond so many usual ones weigh less.
const FAR: f64 = 2.5;
/// The weight of a value halves with so many shares of the history.
const HALF_LIFE: f64 = 0.6;

impl Regression {
    /// Fits the first `until` values with some of the blocks.
    #[must_use]
    pub fn fit(series: &Prepared, until: usize, blocks: &[Block], clock: &Clock<'_>) -> Self {
        let count = until.min(series.clean.len()).max(1);
        let length = clock.step.saturating_mul(count as u64).max(1);
        let span = Span { start: clock.start, length };
        let all: Vec<Block> = [Block::Trend].into_iter().chain(blocks.iter().cloned()).collect();
        let rows: Vec<Vec<f64>> = (0..count)
            .map(|place| {
                let mut row = Vec::new();
                all.iter().for_each(|block| block.columns(clock.at(place), &span, clock, &mut row));
                row
            })
            .collect();
        let known = series.values.iter().zip(&series.clean).zip(&rows).enumerate();
        let known = known.filter(|(_, ((value, _), _))| !value.is_nan());
        let faded =
            |place: usize| 0.5_f64.powf((count - place) as f64 / (HALF_LIFE * count as f64));
        let examples: Vec<(f64, f64, &[f64])> = known
            .map(|(place, ((_, clean), row))| (faded(place), *clean, row.as_slice()))
            .collect();
        let problem = Problem { blocks: &all, count: count as f64 };
        let first = problem.gather(&examples, &[]);
        let chosen = problem.choose(&first, &examples);
        let coefficients = problem.solve(&first, &chosen);
        let columns = problem.columns(&chosen);
        let residual = |(_, value, row): &(f64, f64, &[f64])| {
            let parts = columns.iter().zip(&coefficients);
            value - parts.map(|(c, b)| row.get(*c).copied().unwrap_or(0.0) * b).sum::<f64>()
        };
        let residuals: Vec<f64> = examples.iter().map(residual).collect();
        let second = problem.gather(&examples, &residuals);
        let coefficients = problem.solve(&second, &chosen);
        let blocks = chosen.iter().filter_map(|place| all.get(*place).cloned()).collect();
        Self { span, blocks, coefficients }
    }

    /// What the blocks add up to at one time.
    #[must_use]
    pub fn at(&self, time: u64, clock: &Clock<'_>) -> f64 {
        let mut row = Vec::with_capacity(self.coefficients.len());
        self.blocks.iter().for_each(|block| block.columns(time, &self.span, clock, &mut row));
        dot(&row, &self.coefficients)
    }
}

/// All blocks that may be chosen.
struct Problem<'a> {
    blocks: &'a [Block],
    count: f64,
}

/// Weight, value, columns.
type Example<'a> = (f64, f64, &'a [f64]);

impl Problem<'_> {
    fn penalties(&self) -> Vec<f64> {
        self.blocks.iter().flat_map(|block| block.penalties(self.count)).collect()
    }

    /// The columns of the chosen blocks.
    fn columns(&self, chosen: &[usize]) -> Vec<usize> {
        let mut from = 0;
        let mut columns = Vec::new();
        for (place, block) in self.blocks.iter().enumerate() {
            if chosen.contains(&place) {
                columns.extend(from..from + block.width());
            }
            from += block.width();
        }
        columns
    }

    fn gather(&self, examples: &[Example<'_>], residuals: &[f64]) -> Normal {
        let width = self.blocks.iter().map(Block::width).sum();
        let mut magnitudes: Vec<f64> = residuals.iter().map(|r| r.abs()).collect();
        let far = FAR * 1.5 * median(&mut magnitudes).max(1e-6);
        let trusted = residuals.iter().map(|r| (far / r.abs()).min(1.0));
        let trusted = trusted.chain(std::iter::repeat(1.0));
        let mut normal = Normal::new(width, 1);
        for ((weight, value, row), trusted) in examples.iter().zip(trusted) {
            let weight = weight * trusted;
            normal.add(row, weight);
            normal.aim(0, row, weight, *value);
        }
        normal
    }

    fn solve(&self, normal: &Normal, chosen: &[usize]) -> Vec<f64> {
        normal.solve(&self.columns(chosen), &self.penalties()).pop().unwrap_or_default()
    }

    /// The trend, and then the block that lowers the criterion most, until none does.
    fn choose(&self, normal: &Normal, examples: &[Example<'_>]) -> Vec<usize> {
        let criterion = |chosen: &[usize]| {
            let (columns, coefficients) = (self.columns(chosen), self.solve(normal, chosen));
            let squares = mean(examples.iter().map(|(_, value, row)| {
                let parts = columns.iter().zip(&coefficients);
                let fit: f64 = parts.map(|(c, b)| row.get(*c).copied().unwrap_or(0.0) * b).sum();
                (value - fit).powi(2)
            }));
            self.count * squares.max(1e-12).ln() + self.count.ln() * columns.len() as f64
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
