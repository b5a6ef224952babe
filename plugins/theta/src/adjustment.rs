use haggle_exponential_smoothing::decompose;

/// The profiles of the seasons, which are removed from a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Adjustment {
    /// Whether the profiles are factors.
    pub multiplicative: bool,
    /// One profile for each season, the shortest first: an amount or a factor for each step of a period.
    pub profiles: Vec<Vec<f64>>,
    /// The place of the next value in each.
    pub positions: Vec<usize>,
    /// The gain of each profile: how much of an innovation it takes at its place, 0 to 1. With 0 it does not
    /// change.
    pub gains: Vec<f64>,
}

/// The largest magnitude in a profile. A factor is at least its reciprocal.
const FURTHEST: f64 = 1e60;
/// The largest relative change of a factor by one value.
const MOST_CHANGE: f64 = 0.5;

impl Adjustment {
    /// The profiles of these values, positioned before the first one, and how many parameters are estimated for
    /// them. The values must be positive if the profiles are factors. NaN is missing.
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

    /// The contribution of the seasons to the next value: a sum of amounts or a product of factors.
    #[must_use]
    pub fn part(&self) -> f64 {
        let parts = self.profiles.iter().zip(&self.positions).filter_map(|(p, at)| p.get(*at));
        if self.multiplicative { parts.product() } else { parts.sum() }
    }

    /// The contributions of the seasons to the next values.
    pub fn ahead(&self, out: &mut [f64]) {
        out.fill(if self.multiplicative { 1.0 } else { 0.0 });
        self.restore(out);
    }

    /// Adds the contributions of the seasons to the next values, or multiplies them in.
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

    /// A value without the contribution `part` of the seasons.
    #[must_use]
    pub fn clear(&self, value: f64, part: f64) -> f64 {
        if self.multiplicative { value / part } else { value - part }
    }

    /// Updates the profiles with the innovation of the next value, and advances by one. Innovation and expectation
    /// are those of the series without its seasons.
    pub fn follow(&mut self, innovation: f64, expected: f64) {
        // One loop for all, because metering has a cost for every pass.
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

    /// Advances by so many values.
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
