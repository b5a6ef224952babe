//! The features of a step ahead: lags, levels, place, calendar. All but the calendar are relative: differences from
//! a base forecast, in units of the series' usual seasonal change. What the forest learns from one series therefore
//! applies to others.

use haggle_forecasting::{day_of_week, mean, median, of_day};

/// How many features a row has.
pub const WIDTH: usize = 22;

/// The parameters of a series' features.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// The season in steps, 0 for none.
    pub season: usize,
    /// A longer one, a multiple of it; 0 for none.
    pub long: usize,
    /// The usual change over a season (or a step); above 0.
    pub unit: f64,
    /// For how many steps ahead it was trained.
    pub horizon: usize,
}

/// The numbers of last values whose means are the levels.
const LEVELS: [usize; 4] = [3, 6, 12, 36];
/// Differences are clamped to so many units.
const FAR: f64 = 20.0;

/// The numbers that are the same for every step from an origin.
#[derive(Clone, Debug)]
pub struct Origin<'a> {
    past: &'a [f64],
    frame: Frame,
    last: f64,
    levels: [f64; LEVELS.len()],
    middle: f64,
    low: f64,
    high: f64,
    drift: f64,
    off: f64,
    long_off: f64,
    rough: f64,
}

impl Frame {
    /// How many of the last values the features use.
    #[must_use]
    pub fn needs(&self) -> usize {
        let longest = LEVELS.into_iter().max().unwrap_or(1);
        longest.max(3 * self.season + 1).max(2 * self.long + 1)
    }

    /// The numbers that all steps from an origin share. `past` holds the values up to the origin, none missing;
    /// only the last [`Frame::needs`] of them matter.
    #[must_use]
    pub fn origin<'a>(&self, past: &'a [f64]) -> Origin<'a> {
        let last_of = |count: usize| past.get(past.len().saturating_sub(count)..).unwrap_or(past);
        let level = |count: usize| mean(last_of(count).iter().copied());
        let at = |back: usize| past.len().checked_sub(back).and_then(|p| past.get(p)).copied();
        let last = at(1).unwrap_or(0.0);
        let since = |season: usize| {
            let then = at(season + 1).filter(|_| season > 0);
            then.map_or(f64::NAN, |then| last - then)
        };
        let mut near = last_of(12).to_vec();
        let drift = if self.season > 1 {
            let now = mean(last_of(self.season).iter().copied());
            let both = last_of(2 * self.season);
            if both.len() == 2 * self.season {
                2.0 * (now - mean(both.iter().copied()))
            } else {
                f64::NAN
            }
        } else {
            level(12) - level(36)
        };
        let changes = last_of(24).array_windows().map(|[a, b]| (b - a).abs());
        Origin {
            past,
            frame: *self,
            last,
            levels: LEVELS.map(level),
            middle: median(&mut near),
            low: last_of(24).iter().copied().fold(f64::INFINITY, f64::min),
            high: last_of(24).iter().copied().fold(f64::NEG_INFINITY, f64::max),
            drift,
            off: since(self.season),
            long_off: since(self.long),
            rough: (mean(changes) / self.unit + 1e-3).ln(),
        }
    }
}

impl Origin<'_> {
    /// The base forecast of step `ahead` (from 1), which needs no learning: the value one season before, or the
    /// median of the last twelve values if there is no season.
    #[must_use]
    pub fn base(&self, ahead: usize) -> f64 {
        self.before(self.frame.season, 0, ahead, 0).unwrap_or(self.middle)
    }

    /// The features of step `ahead`, at the given time in milliseconds, around a base forecast of it.
    #[must_use]
    pub fn features(&self, ahead: usize, time: u64, base: f64) -> [f32; WIDTH] {
        let frame = &self.frame;
        let near = |value: f64| ((value - base) / frame.unit).clamp(-FAR, FAR) as f32;
        let units = |difference: f64| (difference / frame.unit).clamp(-FAR, FAR) as f32;
        let seasonal = |periods: usize, beside: isize| {
            self.before(frame.season, periods, ahead, beside).map_or(f32::NAN, near)
        };
        let long =
            |periods: usize| self.before(frame.long, periods, ahead, 0).map_or(f32::NAN, near);
        let [three, six, twelve, more] = self.levels;
        [
            ahead as f32 / frame.horizon.max(1) as f32,
            near(self.last),
            near(three),
            near(six),
            near(twelve),
            near(more),
            near(self.middle),
            near(self.low),
            near(self.high),
            seasonal(0, 0),
            seasonal(1, 0),
            seasonal(2, 0),
            seasonal(0, -1),
            seasonal(0, 1),
            long(0),
            long(1),
            units(self.drift),
            units(self.off),
            units(self.long_off),
            self.rough as f32,
            of_day(time) as f32,
            day_of_week(time) as f32,
        ]
    }

    /// The value at the same place, `periods` periods before the last known one, shifted by `beside` steps.
    fn before(&self, season: usize, periods: usize, ahead: usize, beside: isize) -> Option<f64> {
        if season < 2 {
            return None;
        }
        let back = (ahead.div_ceil(season) + periods) * season;
        let place = (self.past.len() + ahead - 1).checked_sub(back)?;
        self.past.get(place.checked_add_signed(beside)?).copied()
    }
}
