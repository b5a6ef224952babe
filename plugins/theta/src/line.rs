//! The dynamic optimised theta model (Fiorucci, Pellegrini, Louzada, Petropoulos & Koehler, "Models for
//! optimising the theta method and their relationship to state space models", 2016, section 3):
//!
//! ```text
//! μ_t = l + (1 − 1/θ) ((1 − α)^(t−1) A + (1 − (1 − α)^t) / α · B)
//! l   ← α y + (1 − α) l
//! B   ← ((t − 2) B + 6/t (y − M)) / (t + 1)     the slope of the line through all values so far
//! M   ← ((t − 1) M + y) / t                     their mean
//! A   = M − (t + 1)/2 · B                       where the line begins
//! ```
//!
//! A missing value counts as its expectation.

use haggle_exponential_smoothing::Totals;

/// The parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameters {
    /// α, above 0 and at most 1.
    pub level: f64,
    /// 1 − 1/θ, 0 to 1: the share of the line's slope that forecasts continue. 0 is simple exponential smoothing,
    /// 1/2 is the theta method as first published.
    pub drift: f64,
}

/// The state after `count` values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// l.
    pub level: f64,
    /// M.
    pub mean: f64,
    /// B.
    pub slope: f64,
    /// (1 − α)^count.
    pub faded: f64,
    /// t.
    pub count: f64,
}

impl Line {
    /// The state after the first value, if the level was `before`.
    #[must_use]
    pub fn after_first(value: f64, before: f64, p: &Parameters) -> Self {
        let level = p.level * value + (1.0 - p.level) * before;
        Self { level, mean: value, slope: 0.0, faded: 1.0 - p.level, count: 1.0 }
    }

    /// The expectation of the next value.
    #[must_use]
    pub fn expect(&self, p: &Parameters) -> f64 {
        let begin = self.mean - 0.5 * (self.count + 1.0) * self.slope;
        let share = (1.0 - self.faded * (1.0 - p.level)) / p.level;
        self.level + p.drift * (self.faded * begin + share * self.slope)
    }

    /// Updates the state with the next value.
    pub fn update(&mut self, value: f64, p: &Parameters) {
        let t = self.count + 1.0;
        self.level += p.level * (value - self.level);
        self.slope = ((t - 2.0) * self.slope + 6.0 / t * (value - self.mean)) / (t + 1.0);
        self.mean += (value - self.mean) / t;
        self.faded *= 1.0 - p.level;
        self.count = t;
    }

    /// The expectations of the next values. Each counts as observed for those after it.
    pub fn expect_all(mut self, p: &Parameters, out: &mut [f64]) {
        for mean in out {
            *mean = self.expect(p);
            self.update(*mean, p);
        }
    }

    /// The variances of the next forecast errors relative to the first one: 1 plus the squares of what an
    /// innovation of 1 adds to later expectations. (An innovation some steps later changes the slope a little less,
    /// which is ignored.)
    pub fn growth(&self, p: &Parameters, out: &mut [f64]) {
        let mut response = Self { level: 0.0, mean: 0.0, slope: 0.0, ..*self };
        let (mut sum, mut value) = (1.0, 1.0);
        for factor in out {
            *factor = sum;
            response.update(value, p);
            value = response.expect(p);
            sum += value * value;
        }
    }
}

/// A value with the numbers that do not depend on the parameters: its weight (0 if it is missing), and begin and
/// slope of the line through all values up to it.
#[derive(Clone, Copy, Debug)]
struct Point {
    value: f64,
    weight: f64,
    begin: f64,
    slope: f64,
}

/// A series with its lines.
#[derive(Clone, Debug)]
pub(crate) struct Lines(Vec<Point>);

/// The number of first values that are not judged, because no line goes through them yet.
const UNJUDGED: usize = 3;
/// How many values one pass of a loop processes, because metering has a cost for every pass.
const TURN: usize = 4;

impl Lines {
    pub(crate) fn of(values: &[f64], weights: &[f64]) -> Self {
        let any = Parameters { level: 1.0, drift: 0.0 };
        let mut line: Option<Line> = None;
        let point = |(value, weight): (&f64, &f64)| {
            let line = match &mut line {
                None => line.insert(Line::after_first(*value, *value, &any)),
                Some(line) => {
                    line.update(*value, &any);
                    line
                }
            };
            let begin = line.mean - 0.5 * (line.count + 1.0) * line.slope;
            Point { value: *value, weight: *weight, begin, slope: line.slope }
        };
        Self(values.iter().zip(weights).map(point).collect())
    }

    /// The sums of the innovations, each times its weight, and the level before the first value that minimises the
    /// sum of squares. The innovations are linear in that level, so that sum (though not the sum of magnitudes) is
    /// the one for the best level.
    pub(crate) fn innovations(&self, p: &Parameters) -> (Totals, f64) {
        let first = self.0.first().map_or(0.0, |point| point.value);
        let keep = 1.0 - p.level;
        let (mut level, mut faded) = (first, keep);
        let mut sums = Totals::default();
        // The derivative of an innovation by the level before the first value is −(1 − α)^t.
        let (mut crossed, mut own) = (0.0, 0.0);
        // The line goes through the values up to the one before.
        let mut follow = |before: &Point, now: &Point, judged: bool| {
            let share = (1.0 - faded * keep) / p.level;
            let error =
                now.value - (level + p.drift * (faded * before.begin + share * before.slope));
            level += p.level * (now.value - level);
            if judged {
                let e = now.weight * error;
                let response = now.weight * faded;
                sums.count += f64::from(now.weight > 0.0);
                sums.squares += e * e;
                sums.magnitudes += e.abs();
                crossed += e * response;
                own += response * response;
            }
            faded *= keep;
        };
        let (early, judged) = self.0.split_at(UNJUDGED.min(self.0.len()));
        early.array_windows().for_each(|[before, now]| follow(before, now, false));
        let before = UNJUDGED - 1..UNJUDGED - 1 + judged.len();
        let before = self.0.get(before).unwrap_or_default();
        let (turns, rest) = judged.as_chunks::<TURN>();
        let (before_turns, before_rest) = before.as_chunks::<TURN>();
        for (before, now) in before_turns.iter().zip(turns) {
            before.iter().zip(now).for_each(|(before, now)| follow(before, now, true));
        }
        before_rest.iter().zip(rest).for_each(|(before, now)| follow(before, now, true));
        let better = if own > 1e-12 { crossed / own } else { 0.0 };
        sums.squares = (sums.squares - better * crossed).max(0.0);
        (sums, first + better)
    }
}
