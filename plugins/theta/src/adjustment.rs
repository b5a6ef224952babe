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
    /// How much of an innovation each takes on where it happens, 0 to 1; with 0 they stay as they are.
    pub gains: Vec<f64>,
}

/// No part of a profile is further from 0; as a factor, nor nearer than its reciprocal.
const FURTHEST: f64 = 1e60;
/// A factor does not change by more than this at once.
const MOST_CHANGE: f64 = 0.5;

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
        let gains = vec![0.0; profiles.len()];
        (Self { multiplicative, profiles, positions, gains }, freedom)
    }

    /// What the seasons contribute to the next value: a sum of amounts or a product of factors.
    #[must_use]
    pub fn part(&self) -> f64 {
        let parts = self.profiles.iter().zip(&self.positions).filter_map(|(p, at)| p.get(*at));
        if self.multiplicative { parts.product() } else { parts.sum() }
    }

    /// What the seasons contribute to the next values.
    pub fn ahead(&self, out: &mut [f64]) {
        out.fill(if self.multiplicative { 1.0 } else { 0.0 });
        self.restore(out);
    }

    /// The next values with what the seasons contribute to them.
    pub fn restore(&self, values: &mut [f64]) {
        for (profile, position) in self.profiles.iter().zip(&self.positions) {
            let mut place = *position;
            for value in values.iter_mut() {
                if let Some(part) = profile.get(place) {
                    *value = if self.multiplicative { *value * part } else { *value + part };
                }
                place = after(profile, place);
            }
        }
    }

    /// A value without what the seasons contribute to it.
    #[must_use]
    pub fn clear(&self, value: f64, part: f64) -> f64 {
        if self.multiplicative { value / part } else { value - part }
    }

    /// Takes on what the next value was off from what was expected, both without what the seasons contribute,
    /// and goes on by one.
    pub fn follow(&mut self, innovation: f64, expected: f64) {
        // One loop for all, because a metered sandbox pays for every turn of one.
        let places = self.profiles.iter_mut().zip(&mut self.positions).zip(&self.gains);
        for ((profile, position), gain) in places {
            if let Some(part) = profile.get_mut(*position) {
                if !self.multiplicative {
                    *part = (*part + gain * innovation).clamp(-FURTHEST, FURTHEST);
                } else if expected > 0.0 {
                    let change = (gain * innovation / expected).clamp(-MOST_CHANGE, MOST_CHANGE);
                    *part = (*part * (1.0 + change)).clamp(1.0 / FURTHEST, FURTHEST);
                }
            }
            *position = after(profile, *position);
        }
    }

    /// Goes on by so many values.
    pub fn advance(&mut self, count: usize) {
        for (profile, position) in self.profiles.iter().zip(&mut self.positions) {
            *position = (*position + count) % profile.len().max(1);
        }
    }
}

/// The next place of a profile, which begins again after its end.
fn after(profile: &[f64], place: usize) -> usize {
    if place + 1 < profile.len() { place + 1 } else { 0 }
}
