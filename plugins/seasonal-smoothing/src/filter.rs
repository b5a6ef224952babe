//! The smoothing recursions, in error-correction form:
//!
//! ```text
//! e_t = y_t − (l + φb + ρa + s1 + s2)      the innovation
//! l   ← l + φb + α e_t                     level
//! b   ← φb + β e_t                         damped trend
//! a   ← ρa + δ e_t                         transient: a deviation from the level that fades
//! s_i ← s_i + γ_i (1 − α − δ) e_t          each season's profile, at its place
//! ```
//!
//! With `δ = 0` and one season these are the additive Holt-Winters recursions with damped trend (Hyndman, Koehler,
//! Ord & Snyder, "Forecasting with Exponential Smoothing", 2008, chapter 2); two seasons and an autoregressive
//! correction are Taylor's ("Short-term electricity demand forecasting using double seasonal exponential
//! smoothing", 2003), except that the correction has a weight of its own. Two additions make them robust: a
//! seasonal gain is at least that of an average over the periods seen so far, and a single innovation that is far
//! out is cut before it changes the state.

use haggle_forecasting::Outliers;

/// The smoothing parameters. `level + transient` is at most 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameters {
    /// α, 0 to 1.
    pub level: f64,
    /// β, 0 to 1.
    pub trend: f64,
    /// φ, 0 to 1.
    pub damping: f64,
    /// δ, 0 to 1.
    pub transient: f64,
    /// ρ, 0 to 1.
    pub persistence: f64,
    /// γ of each season, 0 to 1.
    pub seasonal: [f64; 2],
}

/// The profile of one season.
#[derive(Clone, Debug, PartialEq)]
pub struct Season {
    /// One value for each step of a period.
    pub profile: Vec<f64>,
    /// The place of the next value within it.
    pub position: usize,
    /// How many values it was learnt from.
    pub seen: u32,
}

/// The state of the recursions after some values.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// l.
    pub level: f64,
    /// b.
    pub trend: f64,
    /// a.
    pub transient: f64,
    /// At most two, the shortest first.
    pub seasons: Vec<Season>,
    /// A running mean of the innovations' magnitudes.
    pub noise: f64,
    /// Decides which innovations are cut.
    pub outliers: Outliers,
}

/// An innovation beyond so many usual ones is cut, unless the one before was beyond them too.
const FAR_OUT: f64 = 6.0;
/// How quickly the usual innovation is learnt.
const NOISE_GAIN: f64 = 0.05;

/// A season during updates. The fields that change with each value are stored directly, not behind a pointer.
pub(crate) struct Turning<'a> {
    profile: &'a mut [f64],
    /// At least 1.
    length: usize,
    position: usize,
    seen: f64,
}

impl<'a> Turning<'a> {
    fn new(season: &'a mut Season) -> Self {
        Self {
            length: season.profile.len().max(1),
            profile: &mut season.profile,
            position: season.position,
            seen: f64::from(season.seen),
        }
    }

    const fn none() -> Self {
        Self { profile: &mut [], length: 1, position: 0, seen: 0.0 }
    }

    /// The profile's value `ahead` steps after the next.
    #[inline(always)]
    fn at(&self, ahead: usize) -> f64 {
        let mut place = self.position + ahead;
        // A division is expensive in the innermost loop, and rarely needed.
        if place >= self.length {
            place -= self.length;
            if place >= self.length {
                place %= self.length;
            }
        }
        self.profile.get(place).copied().unwrap_or(0.0)
    }

    #[inline(always)]
    fn learn(&mut self, correction: f64, gain: f64) {
        let length = self.length as f64;
        let average = length / (length + self.seen);
        let gain = if gain > average { gain } else { average };
        if let Some(value) = self.profile.get_mut(self.position) {
            *value += gain * correction;
        }
        self.seen += 1.0;
    }

    #[inline(always)]
    fn advance(&mut self) {
        self.position += 1;
        if self.position >= self.length {
            self.position = 0;
        }
    }
}

/// Calls `take_in` with the first `S` seasons as [`Turning`], and stores their positions afterwards.
pub(crate) fn turn<const S: usize, R>(
    seasons: &mut [Season],
    take_in: impl FnOnce(&mut [Turning<'_>; S]) -> R,
) -> R {
    let mut lent = seasons.iter_mut().map(Turning::new);
    let mut turning = std::array::from_fn(|_| lent.next().unwrap_or_else(Turning::none));
    let result = take_in(&mut turning);
    let places = turning.map(|season| (season.position, season.seen));
    for (season, (position, seen)) in seasons.iter_mut().zip(places) {
        season.position = position;
        season.seen = seen as u32;
    }
    result
}

impl State {
    /// Updates the state with the next value, and returns the innovation. Both are NaN if the value is missing.
    pub fn update(&mut self, value: f64, parameters: &Parameters) -> f64 {
        let mut seasons = std::mem::take(&mut self.seasons);
        let innovation = match seasons.len() {
            0 => self.step::<0>(&mut [], value, parameters),
            1 => turn::<1, _>(&mut seasons, |s| self.step(s, value, parameters)),
            _ => turn::<2, _>(&mut seasons, |s| self.step(s, value, parameters)),
        };
        self.seasons = seasons;
        innovation
    }

    /// The expected value `ahead + 1` steps after the last.
    #[must_use]
    pub fn expect(&self, ahead: usize, reach: &Reach) -> f64 {
        let place = |season: &Season| (season.position + ahead) % season.profile.len().max(1);
        let values = self.seasons.iter().map(|s| s.profile.get(place(s)).copied().unwrap_or(0.0));
        self.level
            + reach.trend * self.trend
            + reach.transient * self.transient
            + values.sum::<f64>()
    }

    /// [`State::update`] with the seasons as an argument. The compiler knows their number and unrolls the loop,
    /// because metering has a cost for every pass.
    #[inline(always)]
    pub(crate) fn step<const S: usize>(
        &mut self,
        seasons: &mut [Turning<'_>; S],
        value: f64,
        parameters: &Parameters,
    ) -> f64 {
        let trend = parameters.damping * self.trend;
        let transient = parameters.persistence * self.transient;
        let seasonal = seasons.iter().fold(0.0, |sum, season| sum + season.at(0));
        let innovation = value - (self.level + trend + transient + seasonal);
        let known = if innovation.is_nan() { 0.0 } else { self.cut(innovation) };
        self.level += trend + parameters.level * known;
        self.trend = trend + parameters.trend * known;
        self.transient = transient + parameters.transient * known;
        let rest = (1.0 - parameters.level - parameters.transient) * known;
        for (season, gain) in seasons.iter_mut().zip(parameters.seasonal) {
            if !innovation.is_nan() {
                season.learn(rest, gain);
            }
            season.advance();
        }
        innovation
    }

    /// [`State::expect`] with the seasons as an argument.
    #[inline(always)]
    pub(crate) fn expected<const S: usize>(
        &self,
        seasons: &[Turning<'_>; S],
        ahead: usize,
        reach: &Reach,
    ) -> f64 {
        let seasonal = seasons.iter().fold(0.0, |sum, season| sum + season.at(ahead));
        self.level + reach.trend * self.trend + reach.transient * self.transient + seasonal
    }

    /// Cuts a far-out innovation, unless the one before was far out too: two in a row are a shift, which the state
    /// must follow.
    #[inline(always)]
    fn cut(&mut self, innovation: f64) -> f64 {
        let most = FAR_OUT * self.noise;
        let magnitude = innovation.abs();
        let is_far_out = magnitude > most;
        let bounded = if is_far_out { most } else { magnitude };
        self.noise += NOISE_GAIN * (bounded - self.noise);
        if self.outliers.cuts(is_far_out) { bounded.copysign(innovation) } else { innovation }
    }
}

/// The factors of trend and transient over some steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reach {
    /// φ + φ² + … + φʰ.
    pub trend: f64,
    /// ρʰ.
    pub transient: f64,
}

impl Reach {
    /// Over one step, two, three and so on.
    pub fn every(parameters: &Parameters) -> impl Iterator<Item = Self> + use<> {
        let Parameters { damping, persistence, .. } = *parameters;
        let mut reach = Self { trend: 0.0, transient: 1.0 };
        let mut power = 1.0;
        std::iter::repeat_with(move || {
            power *= damping;
            reach.trend += power;
            reach.transient *= persistence;
            reach
        })
    }
}

/// The standard deviation of the error over 1, 2, 3… steps relative to that of an innovation: the square
/// root of `1 + Σ c_j²`, with `c_j = α + β(φ + … + φʲ) + δρʲ + γ_i(1 − α − δ)[m_i divides j]` (as Hyndman
/// et al., 2008, chapter 6, for these recursions).
pub fn deviations<'a>(
    parameters: &'a Parameters,
    seasons: &'a [usize],
) -> impl Iterator<Item = f64> + use<'a> {
    let rest = 1.0 - parameters.level - parameters.transient;
    let weights = Reach::every(parameters).zip(1_usize..).map(move |(reach, step)| {
        let due = seasons.iter().zip(parameters.seasonal);
        let due = due.filter(|(length, _)| step.is_multiple_of(**length));
        let seasonal: f64 = due.map(|(_, gain)| gain * rest).sum();
        let trend = parameters.trend * reach.trend;
        parameters.level + trend + parameters.transient * reach.transient + seasonal
    });
    let variances = weights.scan(1.0, |variance, weight: f64| {
        let now: f64 = *variance;
        *variance += weight * weight;
        Some(now)
    });
    variances.map(f64::sqrt)
}
