use crate::{
    decompose::{Profile, decompose, line},
    filter::{Season, State},
    form::{Form, Seasonal, Trend},
};

/// The initial profiles, computed once for all forms.
#[derive(Clone, Debug)]
pub(crate) struct Beginnings {
    /// The lengths, at most two, the shortest first.
    pub(crate) seasons: Vec<usize>,
    additive: Vec<Profile>,
    /// As logarithms; only where all values are positive.
    multiplicative: Option<Vec<Profile>>,
}

/// Multiplicative forms are not used if a value is below this share of the mean.
const LEAST: f64 = 1e-3;

impl Beginnings {
    /// Computes the profiles of at most two seasons, the shortest first, which fit into the values twice. The
    /// values are on a scale where they are about 1.
    pub(crate) fn of(values: &[f64], seasons: &[usize]) -> Self {
        let additive = decompose(values, seasons);
        let positive = values.iter().all(|v| v.is_nan() || *v > LEAST);
        let multiplicative = positive.then(|| {
            let logarithms: Vec<f64> = values.iter().map(|v| v.ln()).collect();
            decompose(&logarithms, seasons)
        });
        Self { seasons: seasons.to_vec(), additive, multiplicative }
    }

    /// Whether forms that need positive values make sense.
    pub(crate) fn positive(&self) -> bool {
        self.multiplicative.is_some()
    }

    fn profiles(&self, form: Form) -> &[Profile] {
        match form.seasonal {
            Seasonal::None => &[],
            Seasonal::Additive => &self.additive,
            Seasonal::Multiplicative => self.multiplicative.as_deref().unwrap_or_default(),
        }
    }

    /// How many parameters of a form's initial state are estimated from the values. A profile counts in proportion
    /// to its strength.
    pub(crate) fn freedom(&self, form: Form) -> f64 {
        let profiles = self.profiles(form).iter();
        let seasonal: f64 = profiles.map(|p| p.strength * (p.values.len() as f64 - 1.0)).sum();
        seasonal + if form.trend == Trend::None { 1.0 } else { 2.0 }
    }

    /// The state before the first value: profiles from all values, level and slope by a line through the
    /// first of them.
    pub(crate) fn state(&self, values: &[f64], form: Form) -> State {
        let multiply = form.seasonal == Seasonal::Multiplicative;
        let season = |profile: &Profile| {
            let part = |v: &f64| if multiply { v.exp() } else { *v };
            Season { profile: profile.values.iter().map(part).collect(), position: 0 }
        };
        let seasons: Vec<Season> = self.profiles(form).iter().map(season).collect();
        let shortest = self.seasons.first().filter(|_| form.seasonal != Seasonal::None);
        let first = values.len().min((2 * shortest.copied().unwrap_or(1)).max(10));
        let mut adjusted: Vec<f64> = values.iter().take(first).copied().collect();
        for season in &seasons {
            for (value, usual) in adjusted.iter_mut().zip(season.profile.iter().cycle()) {
                *value = if multiply { *value / usual } else { *value - usual };
            }
        }
        let (begin, rise) = line(&adjusted);
        if form.trend == Trend::None {
            let present = adjusted.iter().filter(|v| v.is_finite());
            let (sum, count) = present.fold((0.0, 0.0), |(sum, n), v| (sum + v, n + 1.0));
            let level = if count > 0.0 { sum / count } else { begin };
            return State { level, trend: 0.0, transient: 0.0, seasons };
        }
        State { level: begin - rise, trend: rise, transient: 0.0, seasons }
    }
}
