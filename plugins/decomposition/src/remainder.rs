/// The model of the residuals that the regression leaves: a level that stays, a deviation that fades, and a profile
/// that repeats with a season, as in seasonal exponential smoothing. It follows changes for which a regression over
/// months is too slow, such as a daily course that becomes another.
#[derive(Clone, Debug, PartialEq)]
pub struct Remainder {
    /// The shares of an innovation that the parts take.
    pub shares: Shares,
    /// The level.
    pub level: f64,
    /// The deviation that fades.
    pub transient: f64,
    /// The profile: what repeats at each place of a season; empty without one.
    pub profile: Vec<f64>,
    /// The place of the next value in it.
    pub position: usize,
}

/// The shares of an innovation that go to the level, to the deviation and to the profile: each from 0 to 1,
/// together at most 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    /// The share that goes to the level, and stays.
    pub stays: f64,
    /// The share that goes to the deviation, and fades.
    pub fades: f64,
    /// The part of the deviation that is left after a step, from 0 to 1.
    pub persistence: f64,
    /// The share that goes to the profile, and repeats with the season.
    pub returns: f64,
}

const STAYS: [f64; 7] = [0.0, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0];
const FADES: [(f64, f64); 7] =
    [(0.0, 0.0), (0.3, 0.8), (0.3, 0.95), (0.6, 0.8), (0.6, 0.95), (0.9, 0.8), (0.9, 0.95)];
/// The profile's shares of the part that neither stays nor fades.
const RETURNS: [f64; 4] = [0.05, 0.15, 0.4, 0.9];
/// The number of distances ahead at which forecasts of the past are judged.
const STEPS: usize = 4;

impl Remainder {
    /// Chooses the shares and the season that would have forecast these residuals best from the place `from` on, up
    /// to `horizon` steps ahead. Level, deviation and profile are 0.
    #[must_use]
    pub fn fit(remainders: &[f64], from: usize, horizon: usize, seasons: &[usize]) -> Self {
        let last = horizon.clamp(1, (remainders.len() / 2).max(1));
        let ahead: [usize; STEPS] = [1, last.div_ceil(3), (2 * last).div_ceil(3), last];
        let mut best =
            Self::still(Shares { stays: 0.0, fades: 0.0, persistence: 0.0, returns: 0.0 }, 0);
        let mut least = f64::INFINITY;
        let mut judge = |shares: Shares, season: usize| {
            let remainder = Self::still(shares, season);
            let loss = remainder.clone().loss(remainders, from, &ahead);
            if loss < least {
                (best, least) = (remainder, loss);
            }
        };
        for stays in STAYS {
            for (fades, persistence) in FADES {
                let rest = 1.0 - stays - fades;
                if rest < 0.0 {
                    continue;
                }
                judge(Shares { stays, fades, persistence, returns: 0.0 }, 0);
                for (season, share) in seasons.iter().flat_map(|s| RETURNS.map(|share| (*s, share)))
                {
                    judge(Shares { stays, fades, persistence, returns: share * rest }, season);
                }
            }
        }
        best
    }

    fn still(shares: Shares, season: usize) -> Self {
        Self { shares, level: 0.0, transient: 0.0, profile: vec![0.0; season], position: 0 }
    }

    /// The sum of the absolute errors at these distances ahead.
    fn loss(mut self, remainders: &[f64], from: usize, ahead: &[usize; STEPS]) -> f64 {
        let season = self.profile.len().max(1);
        let steps = ahead.map(|ahead| (ahead - 1, (ahead - 1) % season, self.left(ahead)));
        let (known, judged) = remainders.split_at(from.min(remainders.len()));
        known.iter().for_each(|value| self.update(*value));
        let mut loss = 0.0;
        for (place, value) in judged.iter().enumerate() {
            for (later, place_in_season, left) in steps {
                let came = judged.get(place + later).copied().unwrap_or(f64::NAN);
                let error = (came - self.ahead(place_in_season, left)).abs();
                // NaN counts as no error.
                loss += if error >= 0.0 { error } else { 0.0 };
            }
            self.update(*value);
        }
        loss
    }

    /// Updates the state with the next residual; NaN is missing.
    pub fn update(&mut self, remainder: f64) {
        let Shares { stays, fades, persistence, returns } = self.shares;
        self.transient *= persistence;
        let innovation = remainder - self.level - self.transient - self.back(0);
        let known = if innovation.is_nan() { 0.0 } else { innovation };
        self.level += stays * known;
        self.transient += fades * known;
        if let Some(back) = self.profile.get_mut(self.position) {
            *back += returns * known;
        }
        self.position = if self.position + 1 < self.profile.len() { self.position + 1 } else { 0 };
    }

    /// Adds the expectations of the next residuals to `means`.
    pub fn expect(&self, means: &mut [f64]) {
        let season = self.profile.len().max(1);
        let mut left = 1.0;
        for (later, mean) in means.iter_mut().enumerate() {
            left *= self.shares.persistence;
            *mean += self.ahead(later % season, left);
        }
    }

    /// The expectation `later` steps after the next residual, where `later` leaves out whole seasons, and `left` is
    /// the part of the deviation that will be left.
    fn ahead(&self, later: usize, left: f64) -> f64 {
        self.level + self.transient * left + self.back(later)
    }

    /// The part of the deviation that is left after so many steps.
    fn left(&self, steps: usize) -> f64 {
        self.shares.persistence.powi(i32::try_from(steps).unwrap_or(i32::MAX))
    }

    /// The profile's value `later` steps after the next residual; `later` is less than a season.
    fn back(&self, later: usize) -> f64 {
        let place = self.position + later;
        let season = self.profile.len();
        let place = if place < season { place } else { place - season };
        self.profile.get(place).copied().unwrap_or(0.0)
    }

    /// The standard deviation of the forecast error 1, 2, 3… steps ahead, relative to that of an innovation.
    pub fn deviations(&self) -> impl Iterator<Item = f64> + use<> {
        let Shares { stays, fades, persistence, returns } = self.shares;
        let season = self.profile.len().max(1);
        let (mut variance, mut power) = (1.0, 1.0);
        (1..).map(move |step: usize| {
            let now = f64::sqrt(variance);
            power *= persistence;
            let back = if step.is_multiple_of(season) { returns } else { 0.0 };
            variance += (stays + fades * power + back).powi(2);
            now
        })
    }
}
