use haggle_forecasting::{Reader, Unreadable, Writer};

/// The largest number of splits of a tree.
pub const DEPTH: usize = 6;

/// How many rows are predicted at once.
const BLOCK: usize = 12;
/// Up to so many rows are predicted one by one, which is cheaper than a block that is mostly empty.
const FEW: usize = 3;

/// A split: is the feature above the threshold? A missing value is not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Split {
    /// The feature's place.
    pub feature: u8,
    /// The threshold.
    pub threshold: f32,
}

/// An oblivious tree: all nodes of a depth have the same split, so that the results are the bits of the leaf's
/// number. It is less flexible than other trees, so it hardly overfits, and it is evaluated without branches.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    /// The splits, the first one for the lowest bit.
    pub splits: Vec<Split>,
    /// The predictions, `2^splits`.
    pub leaves: Vec<f32>,
}

impl Tree {
    /// The prediction for one row of features.
    #[must_use]
    pub fn predict(&self, row: &[f32]) -> f32 {
        let bit = |(place, split): (usize, &Split)| {
            let value = row.get(usize::from(split.feature)).copied().unwrap_or(f32::NAN);
            usize::from(value > split.threshold) << place
        };
        let leaf: usize = self.splits.iter().enumerate().map(bit).sum();
        self.leaves.get(leaf).copied().unwrap_or(0.0)
    }
}

/// Trees whose predictions add up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Forest {
    /// The trees.
    pub trees: Vec<Tree>,
}

/// Bounds on what is accepted from bytes.
const MOST_TREES: usize = 10_000;

impl Forest {
    /// The prediction for one row of features.
    #[must_use]
    pub fn predict(&self, row: &[f32]) -> f64 {
        f64::from(self.trees.iter().fold(0.0, |sum, tree| sum + tree.predict(row)))
    }

    /// The predictions for rows of features: the same additions in the same order as [`Forest::predict`].
    #[must_use]
    pub fn predict_all<const WIDTH: usize>(&self, rows: &[[f32; WIDTH]]) -> Vec<f64> {
        let mut predictions = Vec::with_capacity(rows.len());
        for block in rows.chunks(BLOCK) {
            if block.len() > FEW {
                predictions.extend(self.predict_block(block).into_iter().take(block.len()));
            } else {
                predictions.extend(block.iter().map(|row| self.predict(row)));
            }
        }
        predictions
    }

    /// The predictions for up to [`BLOCK`] rows at once: each split is applied to the whole block.
    fn predict_block<const WIDTH: usize>(&self, rows: &[[f32; WIDTH]]) -> [f64; BLOCK] {
        let mut columns = [[f32::NAN; BLOCK]; WIDTH];
        for (place, row) in rows.iter().enumerate() {
            for (column, feature) in columns.iter_mut().zip(row) {
                if let Some(cell) = column.get_mut(place) {
                    *cell = *feature;
                }
            }
        }
        let mut sums = [0.0_f32; BLOCK];
        for tree in &self.trees {
            let mut leaves = [0_u32; BLOCK];
            for (place, split) in tree.splits.iter().enumerate() {
                let Some(column) = columns.get(usize::from(split.feature)) else { continue };
                let bit = 1 << place;
                for (leaf, value) in leaves.iter_mut().zip(column) {
                    *leaf |= if *value > split.threshold { bit } else { 0 };
                }
            }
            for (sum, leaf) in sums.iter_mut().zip(leaves) {
                *sum += tree.leaves.get(leaf as usize).copied().unwrap_or(0.0);
            }
        }
        sums.map(f64::from)
    }

    /// Writes it.
    pub fn write(&self, out: &mut Writer) {
        out.length(self.trees.len());
        for tree in &self.trees {
            out.byte(tree.splits.len() as u8);
            for split in &tree.splits {
                out.byte(split.feature);
                out.short(f64::from(split.threshold));
            }
            tree.leaves.iter().for_each(|leaf| out.short(f64::from(*leaf)));
        }
    }

    /// Reads what [`Forest::write`] wrote.
    ///
    /// # Errors
    /// [`Unreadable`] if the bytes are not a forest.
    pub fn read(input: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let mut trees = Vec::new();
        for _ in 0..input.length(MOST_TREES)? {
            let depth = usize::from(input.byte()?);
            if depth > DEPTH {
                return Err(Unreadable);
            }
            let split = |input: &mut Reader<'_>| -> Result<Split, Unreadable> {
                Ok(Split { feature: input.byte()?, threshold: input.short()? as f32 })
            };
            let splits = (0..depth).map(|_| split(input)).collect::<Result<_, _>>()?;
            let leaf = |_| input.short().map(|leaf| leaf as f32);
            let leaves = (0..1 << depth).map(leaf).collect::<Result<_, _>>()?;
            trees.push(Tree { splits, leaves });
        }
        Ok(Self { trees })
    }
}
