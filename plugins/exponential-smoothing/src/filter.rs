//! The recursions of the family (Hyndman, Koehler, Ord & Snyder, "Forecasting with Exponential
//! Smoothing", 2008, table 2.2), with up to two seasons:
//!
//! ```text
//! q = l + φb + ρa                                  level, slope and transient before the value
//! μ = q + s1 + s2     or   μ = q · s1 · s2         the expectation
//! e = y − μ           or   e = (y − μ) / μ         the innovation
//! l ← l + φb + αe     or   l ← l + φb + αqe
//! b ← φb + βe         or   b ← φb + βqe
//! a ← ρa + δe         or   a ← ρa + δqe
//! s_i ← s_i + γ_i e   or   s_i ← s_i (1 + γ_i e)   at its place of the period
//! ```
//!
//! The transient `a` is not part of the family. It is an autoregressive error: without it, the level follows a
//! deviation of an hour, and the forecast keeps it for days. Without multiplicative seasons, the state is updated
//! in the same way under additive and multiplicative errors; only the likelihood differs. A missing value counts as
//! its expectation.

use std::f64::consts::PI;

use haggle_forecasting::larger;

use crate::form::{Error, Form, Seasonal, Trend};

/// The smoothing parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameters {
    /// α.
    pub level: f64,
    /// β, at most α.
    pub trend: f64,
    /// δ, at most 1 − α.
    pub transient: f64,
    /// ρ, below 1.
    pub persistence: f64,
    /// γ of each season, together at most 1 − α − δ.
    pub seasonal: [f64; 2],
    /// φ, 1 where the trend is not damped.
    pub damping: f64,
}

/// One season: its profile and the place of the next value in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Season {
    /// One amount or factor for each step of a period; never empty.
    pub profile: Vec<f64>,
    /// Less than its length.
    pub position: usize,
}

/// The state of the recursions.
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
}

/// The sums over a pass.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// How many values were present.
    pub count: f64,
    /// The innovations' squares.
    pub squares: f64,
    /// Their magnitudes.
    pub magnitudes: f64,
    /// Under multiplicative errors, the logarithms of the expectations.
    pub logarithms: f64,
}

impl Totals {
    /// Minus twice the logarithm of the likelihood, the spread concentrated out, up to a constant that is
    /// the same for every form. The smaller the better.
    #[must_use]
    pub fn deviance(&self, errors: Distribution) -> f64 {
        let normal = || (self.squares / self.count).max(1e-20).ln() + (2.0 * PI).ln() + 1.0;
        let laplace = || 2.0 * ((2.0 * self.magnitudes / self.count).max(1e-10).ln() + 1.0);
        let each = match errors {
            Distribution::Normal => normal(),
            Distribution::NormalOrLaplace => normal().min(laplace()),
        };
        self.count * each + 2.0 * self.logarithms
    }
}

/// The distribution of the innovations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// Normally: the likelihood of least squares.
    Normal,
    /// Normal or Laplace, whichever is likelier. Laplace fits innovations that are mostly small and sometimes far
    /// out; least absolute errors maximise its likelihood.
    NormalOrLaplace,
}

/// The smallest expectation under multiplicative errors, and the smallest level that seasons multiply, on the scale
/// where values are about 1. It keeps innovations finite, and brings a level below 0 back instead of driving it
/// further away.
const SMALLEST: f64 = 1e-3;
/// The number of expectations that are multiplied before the logarithm is taken.
const RUN: usize = 32;

/// Updates the state with the values, and passes each innovation (0 for a missing value) to `told`.
pub fn run(
    values: &[f64],
    form: Form,
    parameters: &Parameters,
    state: &mut State,
    told: impl FnMut(f64),
) -> Totals {
    const NONE: u8 = 0;
    const SUM: u8 = 1;
    const PRODUCT: u8 = 2;
    let relative = form.error == Error::Multiplicative;
    let trend = form.trend != Trend::None;
    let seasonal = if state.seasons.is_empty() { Seasonal::None } else { form.seasonal };
    let pass = (values, parameters, state, told);
    macro_rules! fading {
        ($relative:tt, $trend:tt, $seasonal:tt) => {
            if form.transient {
                inner::<$relative, $trend, true, $seasonal>(pass)
            } else {
                inner::<$relative, $trend, false, $seasonal>(pass)
            }
        };
    }
    match (relative, trend, seasonal) {
        (false, false, Seasonal::None) => fading!(false, false, NONE),
        (false, false, Seasonal::Additive) => fading!(false, false, SUM),
        (false, true, Seasonal::None) => fading!(false, true, NONE),
        (false, true, Seasonal::Additive) => fading!(false, true, SUM),
        (true, false, Seasonal::None) => fading!(true, false, NONE),
        (true, false, Seasonal::Additive) => fading!(true, false, SUM),
        (true, true, Seasonal::None) => fading!(true, true, NONE),
        (true, true, Seasonal::Additive) => fading!(true, true, SUM),
        (_, false, Seasonal::Multiplicative) => fading!(true, false, PRODUCT),
        (_, true, Seasonal::Multiplicative) => fading!(true, true, PRODUCT),
    }
}

/// The recursions of one form. They process the values in stretches in which neither season starts a new period, so
/// that the inner loop needs no index. A neutral profile replaces an absent season.
fn inner<const RELATIVE: bool, const TREND: bool, const TRANSIENT: bool, const SEASONAL: u8>(
    (values, p, state, mut told): (&[f64], &Parameters, &mut State, impl FnMut(f64)),
) -> Totals {
    let neutral = if SEASONAL == 2 { 1.0 } else { 0.0 };
    let mut none = [[neutral; RUN]; 2];
    let [none1, none2] = &mut none;
    let mut seasons = state.seasons.iter_mut();
    let mut next = |none| {
        seasons.next().filter(|_| SEASONAL > 0).map_or_else(
            || (none, 0, 0.0),
            |season: &mut Season| (season.profile.as_mut_slice(), season.position, 1.0),
        )
    };
    let (profile1, mut at1, real1) = next(none1.as_mut_slice());
    let (profile2, mut at2, real2) = next(none2.as_mut_slice());
    let [gamma1, gamma2] = p.seasonal;
    let (gamma1, gamma2) = (gamma1 * real1, gamma2 * real2);
    let (mut level, mut trend, mut transient) = (state.level, state.trend, state.transient);
    let mut totals = Totals::default();
    let mut rest = values;
    while !rest.is_empty() {
        let (left1, left2) = (profile1.len() - at1, profile2.len() - at2);
        let stretch = rest.len().min(RUN).min(left1).min(left2);
        let (now, later) = rest.split_at(stretch);
        rest = later;
        let here1 = profile1.get_mut(at1..at1 + stretch).unwrap_or_default();
        let here2 = profile2.get_mut(at2..at2 + stretch).unwrap_or_default();
        let (mut squares, mut magnitudes, mut present, mut product) = (0.0, 0.0, 0.0, 1.0);
        for ((value, s1), s2) in now.iter().zip(here1).zip(here2) {
            let damped = if TREND { p.damping * trend } else { 0.0 };
            let base = level + damped;
            let faded = if TRANSIENT { p.persistence * transient } else { 0.0 };
            let q = base + faded;
            let q = if SEASONAL == 2 { larger(q, SMALLEST) } else { q };
            let mut expected = match SEASONAL {
                0 => q,
                1 => q + (*s1 + *s2),
                _ => q * (*s1 * *s2),
            };
            if RELATIVE {
                expected = larger(expected, SMALLEST);
            }
            let off = value - expected;
            let (off, one) = if off.is_nan() { (0.0, 0.0) } else { (off, 1.0) };
            let share = if RELATIVE { off / expected } else { off };
            present += one;
            squares += share * share;
            magnitudes += share.abs();
            if RELATIVE {
                // The expectation of a missing value does not count.
                product *= if one > 0.0 { expected } else { 1.0 };
            }
            told(share);
            let moved = if SEASONAL == 2 { q * share } else { off };
            level = base + p.level * moved;
            trend = if TREND { damped + p.trend * moved } else { trend };
            transient = if TRANSIENT { faded + p.transient * moved } else { transient };
            if SEASONAL == 1 {
                *s1 += gamma1 * off;
                *s2 += gamma2 * off;
            } else if SEASONAL == 2 {
                // A level at its lower bound says nothing about the seasons.
                let learnt = if q > SMALLEST { share } else { 0.0 };
                *s1 += gamma1 * (*s1 * learnt);
                *s2 += gamma2 * (*s2 * learnt);
            }
        }
        totals.count += present;
        totals.squares += squares;
        totals.magnitudes += magnitudes;
        if RELATIVE {
            totals.logarithms += product.ln();
        }
        at1 = if left1 == stretch { 0 } else { at1 + stretch };
        at2 = if left2 == stretch { 0 } else { at2 + stretch };
    }
    (state.level, state.trend, state.transient) = (level, trend, transient);
    for (season, at) in state.seasons.iter_mut().zip([at1, at2]) {
        season.position = at;
    }
    totals
}
