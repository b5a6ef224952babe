use std::fmt;

/// The orders of a seasonal model, written `ARIMA(p,d,q)(P,D,Q)[m]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Orders {
    /// p: autoregressive.
    pub ar: usize,
    /// d: differences.
    pub differences: usize,
    /// q: moving average.
    pub ma: usize,
    /// P: seasonal autoregressive.
    pub seasonal_ar: usize,
    /// D: seasonal differences.
    pub seasonal_differences: usize,
    /// Q: seasonal moving average.
    pub seasonal_ma: usize,
    /// m: the season in steps; 0 without one, in which case P, D and Q are 0 too.
    pub season: usize,
    /// Whether the differenced series has a mean.
    pub constant: bool,
}

impl Orders {
    /// Without a season or a constant.
    #[must_use]
    pub const fn plain(ar: usize, differences: usize, ma: usize) -> Self {
        Self {
            ar,
            differences,
            ma,
            seasonal_ar: 0,
            seasonal_differences: 0,
            seasonal_ma: 0,
            season: 0,
            constant: false,
        }
    }

    /// With the seasonal part `(P,D,Q)[m]`.
    #[must_use]
    pub const fn seasonal(self, ar: usize, differences: usize, ma: usize, season: usize) -> Self {
        Self { seasonal_ar: ar, seasonal_differences: differences, seasonal_ma: ma, season, ..self }
    }

    /// With a constant.
    #[must_use]
    pub const fn with_constant(self, constant: bool) -> Self {
        Self { constant, ..self }
    }

    /// How many coefficients it has.
    #[must_use]
    pub fn coefficients(&self) -> usize {
        self.ar + self.ma + self.seasonal_ar + self.seasonal_ma + usize::from(self.constant)
    }
}

impl fmt::Display for Orders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ARIMA({},{},{})", self.ar, self.differences, self.ma)?;
        if self.season > 0 {
            let (p, d, q) = (self.seasonal_ar, self.seasonal_differences, self.seasonal_ma);
            write!(f, "({p},{d},{q})[{}]", self.season)?;
        }
        if self.constant { write!(f, " with constant") } else { Ok(()) }
    }
}

/// The coefficients, of the model
/// φ(B) Φ(Bᵐ) ((1 − B)ᵈ (1 − Bᵐ)ᴰ y − μ) = θ(B) Θ(Bᵐ) e with φ(B) = 1 − φ_1 B − … and
/// θ(B) = 1 + θ_1 B + ….
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Coefficients {
    /// μ.
    pub mean: f64,
    /// φ.
    pub ar: Vec<f64>,
    /// θ.
    pub ma: Vec<f64>,
    /// Φ.
    pub seasonal_ar: Vec<f64>,
    /// Θ.
    pub seasonal_ma: Vec<f64>,
}

impl Coefficients {
    /// The coefficients in one row: μ if there is one, φ, θ, Φ, Θ.
    #[must_use]
    pub fn row(&self, orders: &Orders) -> Vec<f64> {
        let mean = orders.constant.then_some(self.mean);
        let parts = [&self.ar, &self.ma, &self.seasonal_ar, &self.seasonal_ma];
        mean.into_iter().chain(parts.into_iter().flatten().copied()).collect()
    }

    /// The coefficients from a row; entries that are missing at its end are 0.
    #[must_use]
    pub fn from_row(orders: &Orders, row: &[f64]) -> Self {
        let mut rest = row.iter().copied();
        let mut take = |count: usize| (0..count).map(|_| rest.next().unwrap_or(0.0)).collect();
        let mean: Vec<f64> = take(usize::from(orders.constant));
        Self {
            mean: mean.first().copied().unwrap_or(0.0),
            ar: take(orders.ar),
            ma: take(orders.ma),
            seasonal_ar: take(orders.seasonal_ar),
            seasonal_ma: take(orders.seasonal_ma),
        }
    }

    /// These coefficients, resized to other orders: common ones are kept, new ones are 0. If the result is not
    /// admissible, all are 0.
    #[must_use]
    pub fn resized(&self, orders: &Orders) -> Self {
        let mut other = self.clone();
        other.ar.resize(orders.ar, 0.0);
        other.ma.resize(orders.ma, 0.0);
        other.seasonal_ar.resize(orders.seasonal_ar, 0.0);
        other.seasonal_ma.resize(orders.seasonal_ma, 0.0);
        if !orders.constant {
            other.mean = 0.0;
        }
        if other.admissible() { other } else { Self::from_row(orders, &[]) }
    }

    /// Whether every factor is stationary or invertible, with a margin.
    #[must_use]
    pub fn admissible(&self) -> bool {
        let negated = |part: &[f64]| part.iter().map(|v| -v).collect::<Vec<_>>();
        stable(self.ar.clone())
            && stable(self.seasonal_ar.clone())
            && stable(negated(&self.ma))
            && stable(negated(&self.seasonal_ma))
    }
}

/// The largest magnitude of a partial autocorrelation: above it, a root is too close to the unit circle.
const MOST_PARTIAL: f64 = 0.995;

/// Whether 1 − c_1 B − c_2 B² − … has its roots outside the unit circle. Computes the partial autocorrelations by
/// the Durbin-Levinson recursion, backwards.
fn stable(mut coefficients: Vec<f64>) -> bool {
    while let Some(last) = coefficients.pop() {
        if last.is_nan() || last.abs() > MOST_PARTIAL {
            return false;
        }
        let reversed: Vec<f64> = coefficients.iter().rev().copied().collect();
        let left = 1.0 - last * last;
        coefficients
            .iter_mut()
            .zip(reversed)
            .for_each(|(c, other)| *c = (*c + last * other) / left);
    }
    true
}

/// A product of polynomials in the lag operator: its terms by ascending lag, without lag 0, whose term is always 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lags(pub Vec<(usize, f64)>);

impl Lags {
    /// Times 1 + Σ c_i B^(i·stride).
    #[must_use]
    pub fn times(&self, coefficients: impl Iterator<Item = f64>, stride: usize) -> Self {
        let mut terms = self.0.clone();
        for (place, c) in coefficients.enumerate() {
            let lag = (place + 1) * stride;
            terms.push((lag, c));
            terms.extend(self.0.iter().map(|(other, value)| (lag + other, c * value)));
        }
        terms.sort_by_key(|(lag, _)| *lag);
        terms.dedup_by(|later, term| {
            let same = later.0 == term.0;
            term.1 += if same { later.1 } else { 0.0 };
            same
        });
        terms.retain(|(_, c)| *c != 0.0);
        Self(terms)
    }

    /// The longest lag.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.0.last().map_or(0, |(lag, _)| *lag)
    }

    /// φ(B) Φ(Bᵐ), and the same times (1 − B)ᵈ (1 − Bᵐ)ᴰ.
    #[must_use]
    pub fn autoregressive(orders: &Orders, c: &Coefficients) -> (Self, Self) {
        let stationary = Self::default()
            .times(c.ar.iter().map(|v| -v), 1)
            .times(c.seasonal_ar.iter().map(|v| -v), orders.season);
        let mut whole = stationary.clone();
        for _ in 0..orders.differences {
            whole = whole.times(std::iter::once(-1.0), 1);
        }
        for _ in 0..orders.seasonal_differences {
            whole = whole.times(std::iter::once(-1.0), orders.season);
        }
        (stationary, whole)
    }

    /// θ(B) Θ(Bᵐ).
    #[must_use]
    pub fn moving_average(orders: &Orders, c: &Coefficients) -> Self {
        let own = Self::default().times(c.ma.iter().copied(), 1);
        own.times(c.seasonal_ma.iter().copied(), orders.season)
    }

    /// The value of the polynomial at B = 1.
    #[must_use]
    pub fn sum(&self) -> f64 {
        1.0 + self.0.iter().map(|(_, c)| c).sum::<f64>()
    }
}
