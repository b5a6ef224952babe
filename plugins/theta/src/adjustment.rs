use haggle_exponential_smoothing::decompose;

/// The usual profiles of the seasons, which a series is cleared of.
#[derive(Clone, Debug, PartialEq)]
pub struct Adjustment {
    /// Whether the profiles are factors.
    pub multiplicative: bool,
    /// One profile for each season, the shortest first: an amount or a factor for each step of a period.
    pub profiles: Vec<Vec<f64>>,
    /// The place of the next value in each.
    pub positions: Vec<usize>,
}

impl Adjustment {
    /// The profiles of these values, which are positive where the profiles are factors, before the first
    /// of them; and how many numbers that takes from the values. NaN is missing.
    #[must_use]
    pub fn of(values: &[f64], seasons: &[usize], multiplicative: bool) -> (Self, f64) {
        let found = if multiplicative {
            let logarithms: Vec<f64> = values.iter().map(|v| v.ln()).collect();
            decompose(&logarithms, seasons)
        } else {
            decompose(values, seasons)
        };
        let freedom = found.iter().map(|p| p.strength * (p.values.len() as f64 - 1.0)).sum();
        let factor = |v: f64| if multiplicative { v.exp() } else { v };
        let profiles: Vec<Vec<f64>> =
            found.into_iter().map(|p| p.values.into_iter().map(factor).collect()).collect();
        let positions = vec![0; profiles.len()];
        (Self { multiplicative, profiles, positions }, freedom)
    }

    /// What the seasons contribute to the next values: a sum of amounts or a product of factors.
    pub fn ahead(&self, out: &mut [f64]) {
        out.fill(if self.multiplicative { 1.0 } else { 0.0 });
        for (profile, position) in self.profiles.iter().zip(&self.positions) {
            let parts = profile.iter().cycle().skip(*position);
            for (whole, part) in out.iter_mut().zip(parts) {
                *whole = if self.multiplicative { *whole * part } else { *whole + part };
            }
        }
    }

    /// A value without what the seasons contribute to it.
    #[must_use]
    pub fn clear(&self, value: f64, part: f64) -> f64 {
        if self.multiplicative { value / part } else { value - part }
    }

    /// The other way round.
    #[must_use]
    pub fn restore(&self, value: f64, part: f64) -> f64 {
        if self.multiplicative { value * part } else { value + part }
    }

    /// Goes on by so many values.
    pub fn advance(&mut self, count: usize) {
        for (profile, position) in self.profiles.iter().zip(&mut self.positions) {
            *position = (*position + count) % profile.len().max(1);
        }
    }
}
