//! Ridge regression by the normal equations: small, dense, and summed up once for many choices of columns.

/// The sums that a least squares problem consists of.
#[derive(Clone, Debug)]
pub struct Normal {
    /// The lower triangle of `X'WX`, a row for each column of `X`.
    gram: Vec<Vec<f64>>,
    /// `X'Wy` for each target.
    moments: Vec<Vec<f64>>,
}

/// How many rows are added at once.
const TOGETHER: usize = 4;

impl Normal {
    /// Empty sums for so many columns and targets.
    #[must_use]
    pub fn new(columns: usize, targets: usize) -> Self {
        let gram = (0..columns).map(|row| vec![0.0; row + 1]).collect();
        Self { gram, moments: vec![vec![0.0; columns]; targets] }
    }

    /// Adds a row of `X`.
    pub fn add(&mut self, row: &[f64], weight: f64) {
        for (sums, value) in self.gram.iter_mut().zip(row) {
            let scaled = weight * value;
            if scaled != 0.0 {
                sums.iter_mut().zip(row).for_each(|(sum, other)| *sum += scaled * other);
            }
        }
    }

    /// Adds some rows of `X`, each with its weight. The result is that of [`Normal::add`] for one row after
    /// another, but every sum is loaded and stored once for four rows.
    pub fn add_all(&mut self, rows: &[(&[f64], f64)]) {
        let (together, rest) = rows.as_chunks::<TOGETHER>();
        for [(a, u), (b, v), (c, w), (d, x)] in together {
            let columns = a.iter().zip(*b).zip(c.iter().zip(*d));
            for (sums, ((p, q), (r, s))) in self.gram.iter_mut().zip(columns) {
                let scaled = [u * p, v * q, w * r, x * s];
                if scaled != [0.0; TOGETHER] {
                    add_multiples(sums, scaled, [a, b, c, d]);
                }
            }
        }
        rest.iter().for_each(|(row, weight)| self.add(row, *weight));
    }

    /// Adds the value of one target for a row.
    pub fn aim(&mut self, target: usize, row: &[f64], weight: f64, value: f64) {
        if let Some(moments) = self.moments.get_mut(target) {
            let scaled = weight * value;
            moments.iter_mut().zip(row).for_each(|(sum, other)| *sum += scaled * other);
        }
    }

    /// The coefficients of the chosen columns for every target, each column with its penalty. A column that the
    /// equations do not determine has the coefficient 0.
    #[must_use]
    pub fn solve(&self, chosen: &[usize], penalties: &[f64]) -> Vec<Vec<f64>> {
        let factor = self.factor(chosen, penalties);
        let solve = |moments: &Vec<f64>| -> Vec<f64> {
            let at = |column: &usize| moments.get(*column).copied().unwrap_or(0.0);
            back(&factor, forward(&factor, chosen.iter().map(at)))
        };
        self.moments.iter().map(solve).collect()
    }

    /// Cholesky's factor of the chosen rows and columns plus penalties: its lower triangle.
    fn factor(&self, chosen: &[usize], penalties: &[f64]) -> Vec<Vec<f64>> {
        let mut factor: Vec<Vec<f64>> = Vec::with_capacity(chosen.len());
        for (place, column) in chosen.iter().enumerate() {
            let mut row: Vec<f64> = Vec::with_capacity(place + 1);
            for (earlier, other) in factor.iter().zip(chosen) {
                let (low, high) = (column.min(other), column.max(other));
                let entry = self.gram.get(*high).and_then(|g| g.get(*low)).copied();
                let diagonal = earlier.last().copied().unwrap_or(1.0);
                row.push((entry.unwrap_or(0.0) - dot(&row, earlier)) / diagonal);
            }
            let own = self.gram.get(*column).and_then(|g| g.last()).copied().unwrap_or(0.0);
            let penalty = penalties.get(*column).copied().unwrap_or(0.0);
            let rest = own + penalty - dot(&row, &row);
            // The column is a combination of earlier ones: a huge penalty makes its coefficient 0.
            row.push(if rest > 1e-10 * (own + penalty) { rest.sqrt() } else { 1e150 });
            factor.push(row);
        }
        factor
    }
}

/// How many sums one pass of a loop adds to, because metering has a cost for every pass.
const TURN: usize = 4;

/// Adds multiples of rows, which are at least as long as the sums.
fn add_multiples(sums: &mut [f64], factors: [f64; TOGETHER], rows: [&[f64]; TOGETHER]) {
    let length = sums.len();
    let [p, q, r, s] = factors;
    let add = |sum: &mut f64, a: &f64, b: &f64, c: &f64, d: &f64| {
        *sum = *sum + p * a + q * b + r * c + s * d;
    };
    let [(a, last_a), (b, last_b), (c, last_c), (d, last_d)] =
        rows.map(|row| row.get(..length).unwrap_or(row).as_chunks::<TURN>());
    let (turns, last) = sums.as_chunks_mut::<TURN>();
    for (sums, ((a, b), (c, d))) in turns.iter_mut().zip(a.iter().zip(b).zip(c.iter().zip(d))) {
        let columns = a.iter().zip(b).zip(c.iter().zip(d));
        sums.iter_mut().zip(columns).for_each(|(sum, ((a, b), (c, d)))| add(sum, a, b, c, d));
    }
    let columns = last_a.iter().zip(last_b).zip(last_c.iter().zip(last_d));
    last.iter_mut().zip(columns).for_each(|(sum, ((a, b), (c, d)))| add(sum, a, b, c, d));
}

/// The sum of products over the shorter of both.
#[must_use]
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Solves `L z = b`.
fn forward(factor: &[Vec<f64>], right: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut solved: Vec<f64> = Vec::with_capacity(factor.len());
    for (row, value) in factor.iter().zip(right) {
        let diagonal = row.last().copied().unwrap_or(1.0);
        let rest = value - dot(row, &solved);
        solved.push(rest / diagonal);
    }
    solved
}

/// Solves `L' x = z`.
fn back(factor: &[Vec<f64>], mut solved: Vec<f64>) -> Vec<f64> {
    for (place, row) in factor.iter().enumerate().rev() {
        let diagonal = row.last().copied().unwrap_or(1.0);
        let Some((own, earlier)) = solved.get_mut(..=place).and_then(<[f64]>::split_last_mut)
        else {
            continue;
        };
        *own /= diagonal;
        let own = *own;
        earlier.iter_mut().zip(row).for_each(|(rest, entry)| *rest -= entry * own);
    }
    solved
}
