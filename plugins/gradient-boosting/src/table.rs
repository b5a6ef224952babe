use haggle_forecasting::Random;

/// The largest number of bins of a feature; a missing value is in the first one.
pub const BINS: usize = 32;

/// Examples for training: binned features, a column each, and targets.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// For each feature the bins of all rows.
    pub columns: Vec<Vec<u8>>,
    /// For each feature the values between two bins, ascending: a row in bin `b` is above `borders[b - 1]`.
    pub borders: Vec<Vec<f32>>,
    /// The values to predict, one for each row.
    pub targets: Vec<f64>,
}

impl Table {
    /// Bins the features of some rows (each of `width`, NaN is missing) by their quantiles. The rows are
    /// shuffled, the same way every time, so that any stretch of them is a sample.
    #[must_use]
    pub fn of(features: &[f32], targets: &[f64], width: usize) -> Self {
        let count = targets.len();
        let order = shuffled(count);
        let rows: Vec<&[f32]> = features.chunks_exact(width.max(1)).collect();
        let column = |feature: usize| -> (Vec<u8>, Vec<f32>) {
            let at = |row: &usize| rows.get(*row).and_then(|row| row.get(feature)).copied();
            let values: Vec<f32> = order.iter().filter_map(at).collect();
            let borders = borders(&values);
            let bin = |value: &f32| borders.partition_point(|border| value > border) as u8;
            (values.iter().map(bin).collect(), borders)
        };
        let (columns, borders) = (0..width).map(column).unzip();
        let targets = order.iter().filter_map(|row| targets.get(*row).copied()).collect();
        Self { columns, borders, targets }
    }
}

/// An arbitrary constant, so that the order is always the same.
const SEED: u64 = 0x5eed;
/// The largest number of values that are sorted to find the borders of a feature.
const SAMPLE: usize = 4096;

/// Values that divide a sample into parts of the same size, as far as its values differ.
fn borders(values: &[f32]) -> Vec<f32> {
    let mut sample: Vec<f32> =
        values.iter().take(SAMPLE).copied().filter(|v| !v.is_nan()).collect();
    sample.sort_by(f32::total_cmp);
    let at = |part: usize| sample.get(part * sample.len() / BINS).copied();
    let mut borders: Vec<f32> = (1..BINS).filter_map(at).collect();
    borders.dedup();
    // Nothing is above the highest value.
    borders.retain(|border| sample.last().is_some_and(|last| border < last));
    // A border below the lowest value separates missing values from present ones.
    if let Some(lowest) = sample.first().map(|lowest| lowest.next_down())
        && sample.len() < values.len().min(SAMPLE)
    {
        borders.insert(0, lowest);
        borders.truncate(BINS - 1);
    }
    borders
}

/// The numbers below `count` in a pseudorandom order (Fisher and Yates).
fn shuffled(count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut random = Random::new(SEED);
    for last in (1..count).rev() {
        order.swap(last, random.below(last + 1));
    }
    order
}
