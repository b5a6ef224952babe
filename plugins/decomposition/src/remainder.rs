/// What is left of the last values after the regression, and how it goes on: a level that stays, a deviation
/// that fades, and a profile that returns with a season, as in seasonal exponential smoothing. What a
/// regression over months does not follow, this does: days whose course becomes another.
#[derive(Clone, Debug, PartialEq)]
pub struct Remainder {
    /// How much of an innovation goes where.
    pub shares: Shares,
    /// The level.
    pub level: f64,
    /// What fades.
    pub transient: f64,
    /// What returns at each place of a season; empty without one.
    pub profile: Vec<f64>,
    /// The place of the next value in it.
    pub position: usize,
}

/// How much of an innovation goes where: shares from 0 to 1, together at most 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    /// What stays.
    pub stays: f64,
    /// What fades.
    pub fades: f64,
    /// What is left of that after a step, 0 to 1.
    pub persistence: f64,
    /// What returns with the season.
    pub returns: f64,
}

const STAYS: [f64; 7] = [0.0, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0];
const FADES: [(f64, f64); 7] =
    [(0.0, 0.0), (0.3, 0.8), (0.3, 0.95), (0.6, 0.8), (0.6, 0.95), (0.9, 0.8), (0.9, 0.95)];
/// Of what neither stays nor fades.
const RETURNS: [f64; 4] = [0.05, 0.15, 0.4, 0.9];
/// How many forecasts of the past each of these is judged by, at each of the steps ahead.
const STEPS: usize = 4;

impl Remainder {
    /// Nothing left yet, with the shares and the season of those by which these remainders, from the place
    /// `from` on, would have been expected best, `horizon` steps and fewer ahead.
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

    /// The sum of the errors so many steps ahead.
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
                // Not where it is not a number.
                loss += if error >= 0.0 { error } else { 0.0 };
            }
            self.update(*value);
        }
        loss
    }

    /// Takes in the next one; NaN is missing.
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

    /// What is expected of the next ones, added to `means`.
    pub fn expect(&self, means: &mut [f64]) {
        let season = self.profile.len().max(1);
        let mut left = 1.0;
        for (later, mean) in means.iter_mut().enumerate() {
            left *= self.shares.persistence;
            *mean += self.ahead(later % season, left);
        }
    }

    /// What is expected so many steps after the next one, not counting whole seasons, `left` being what will
    /// be left then of what fades.
    fn ahead(&self, later: usize, left: f64) -> f64 {
        self.level + self.transient * left + self.back(later)
    }

    /// What is left of what fades after so many steps.
    fn left(&self, steps: usize) -> f64 {
        self.shares.persistence.powi(i32::try_from(steps).unwrap_or(i32::MAX))
    }

    /// What returns so many steps after the next one, which are less than a season.
    fn back(&self, later: usize) -> f64 {
        let place = self.position + later;
        let season = self.profile.len();
        let place = if place < season { place } else { place - season };
        self.profile.get(place).copied().unwrap_or(0.0)
    }

    /// The deviation of the error over 1, 2, 3… steps relative to an innovation's.
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
