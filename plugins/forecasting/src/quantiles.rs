use crate::{
    bytes::{Reader, Unreadable, Writer},
    statistics::{empirical, mean, median},
};

/// The probabilities at which residual quantiles are kept.
pub const PROBABILITIES: [f64; 11] =
    [0.005, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.995];

/// The quantiles of the normal distribution at these probabilities, as [`normal`] computes them.
pub(crate) const NORMAL: [f64; PROBABILITIES.len()] = [
    -2.575_829_306_443_926_4,
    -1.959_963_986_120_195,
    -1.644_853_625_133_681_4,
    -1.281_551_564_140_156_3,
    -0.674_489_750_223_422_5,
    0.0,
    0.674_489_750_223_422_5,
    1.281_551_564_140_156_3,
    1.644_853_625_133_699,
    1.959_963_986_120_195,
    2.575_829_306_443_926_4,
];

/// The quantiles of a forecast error, ascending.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantiles {
    /// One for each of [`PROBABILITIES`].
    pub values: [f64; 11],
}

/// The weight of the formula in the estimate of the spread, in independent errors.
const FORMULA: f64 = 3.0;
/// How many independent errors it takes until their own distribution counts half.
const TRUST: f64 = 4.0;

impl Quantiles {
    /// Combines the expected `deviation` of the error with the errors of past forecasts. Their spread corrects the
    /// deviation. Their distribution, which may be asymmetric, counts more the more errors there are. The errors of
    /// forecasts over many steps overlap; `independent` is the number of independent errors that they are worth.
    #[must_use]
    pub fn of(errors: &mut [f64], deviation: f64, independent: f64) -> Self {
        errors.sort_by(f64::total_cmp);
        let independent = independent.min(errors.len() as f64);
        let squares = mean(errors.iter().map(|error| error * error));
        // The squares of far-out errors must not dominate.
        let mut magnitudes: Vec<f64> = errors.iter().map(|error| error.abs()).collect();
        let usual = 20.0 * median(&mut magnitudes).max(deviation);
        let squares = squares.min(usual * usual);
        let spread =
            (independent * squares + FORMULA * deviation * deviation) / (independent + FORMULA);
        let spread = spread.sqrt();
        let shape = (errors.len() as f64 * independent).sqrt();
        let own = shape / (shape + TRUST);
        // An estimate from few errors is itself uncertain, which Student's wider distribution accounts for.
        let freedom = (independent - 1.0).max(1.0);
        let joined = |probability: f64| {
            let expected = spread * normal(probability);
            let empirical = empirical(errors, probability).unwrap_or(expected);
            own * empirical + (1.0 - own) * expected
        };
        let middle = joined(0.5);
        let at = |probability: f64| {
            let z = normal(probability);
            let wider = if z == 0.0 { 1.0 } else { student(probability, freedom) / z };
            middle + wider * (joined(probability) - middle)
        };
        Self { values: PROBABILITIES.map(at) }
    }

    /// Writes it.
    pub fn write(&self, out: &mut Writer) {
        self.values.iter().for_each(|value| out.short(*value));
    }

    /// Reads what [`Quantiles::write`] wrote.
    ///
    /// # Errors
    /// [`Unreadable`] if the quantiles do not ascend.
    pub fn read(input: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let mut values = [0.0; PROBABILITIES.len()];
        for value in &mut values {
            *value = input.short()?;
        }
        if values.is_sorted() { Ok(Self { values }) } else { Err(Unreadable) }
    }

    /// The error that is exceeded with probability `1 - probability`: between the quantiles kept, and
    /// beyond them, it is linear in the quantile of the normal distribution.
    #[must_use]
    pub fn at(&self, probability: f64) -> f64 {
        let z = normal(probability);
        let ([first, .., last], [low, .., high]) = (NORMAL, self.values);
        if z <= first {
            return low * if low < 0.0 { z / first } else { 1.0 };
        }
        if z >= last {
            return high * if high > 0.0 { z / last } else { 1.0 };
        }
        let known = || NORMAL.into_iter().zip(self.values);
        let between = known().zip(known().skip(1)).find(|(_, (right, _))| z <= *right);
        between.map_or(high, |((left, a), (right, b))| a + (b - a) * (z - left) / (right - left))
    }
}

/// The quantile of Student's distribution, by the first terms of its expansion around the normal one
/// (Abramowitz & Stegun, "Handbook of Mathematical Functions", 26.7.5).
#[must_use]
pub fn student(probability: f64, freedom: f64) -> f64 {
    let z = normal(probability);
    let z2 = z * z;
    let first = z * (z2 + 1.0) / 4.0;
    let second = z * (5.0 * z2 * z2 + 16.0 * z2 + 3.0) / 96.0;
    z + first / freedom + second / (freedom * freedom)
}

/// The quantile of the normal distribution, to about 1e-9 (Acklam's rational approximation, 2003). The probability
/// is clamped to 1e-9..1-1e-9.
#[must_use]
pub fn normal(probability: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 6] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
        1.0,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 5] = [
        7.784_695_709_041_462e-3,
        3.224_671_290_700_398e-1,
        2.445_134_137_142_996,
        3.754_408_661_907_416,
        1.0,
    ];
    let polynomial = |c: &[f64], x: f64| c.iter().fold(0.0, |sum, c| sum * x + c);
    let p = if probability.is_nan() { 0.5 } else { probability.clamp(1e-9, 1.0 - 1e-9) };
    let tail = p.min(1.0 - p);
    if tail < 0.02425 {
        let q = (-2.0 * tail.ln()).sqrt();
        let z = polynomial(&C, q) / polynomial(&D, q);
        return if p < 0.5 { z } else { -z };
    }
    let q = p - 0.5;
    let r = q * q;
    polynomial(&A, r) * q / polynomial(&B, r)
}
