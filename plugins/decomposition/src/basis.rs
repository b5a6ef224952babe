//! The columns of the regression, in blocks. A model contains a block as a whole or not at all.

use std::f64::consts::TAU;

use haggle_forecasting::{Clock, day_of_week, of_day};
use haggle_sdk::types::CalendarEvent;

/// A block of columns, by the effect that it describes.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// One level for all times.
    Level,
    /// A slope and changes of it.
    Trend,
    /// A season: its length in steps, and the number of its harmonics.
    Season(usize, usize),
    /// The level of the weekend, and its own daily course.
    Weekend,
    /// All events of one name.
    Event(String),
}

/// The number of places where the slope may change, evenly over the first part of the history.
pub const CHANGES: usize = 8;
/// The slope may change only in this first share of the history: later changes are too recent to extrapolate.
const CHANGING: f64 = 0.85;
/// The largest number of harmonics of a season.
const HARMONICS: usize = 20;
/// The number of harmonics of the weekend's daily course.
const WEEKEND: usize = 3;
/// The number of equal parts of an event, each with an effect of its own.
const PARTS: usize = 4;

/// The time that the trend is measured in: 0 at the first value of the history, 1 at the last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// The time of the first value in milliseconds.
    pub start: u64,
    /// How long the history is in milliseconds; above 0.
    pub length: u64,
}

impl Span {
    fn at(&self, time: u64) -> f64 {
        (time as f64 - self.start as f64) / self.length as f64
    }
}

impl Block {
    /// A season with as many harmonics as its steps allow, at most 20.
    #[must_use]
    pub fn season(length: usize) -> Self {
        Self::Season(length, (length.saturating_sub(1) / 2).clamp(1, HARMONICS))
    }

    /// How many columns it has.
    #[must_use]
    pub fn width(&self) -> usize {
        match self {
            Self::Level => 1,
            Self::Trend => 1 + CHANGES,
            Self::Season(_, harmonics) => 2 * harmonics,
            Self::Weekend => 1 + 2 * WEEKEND,
            Self::Event(_) => PARTS,
        }
    }

    /// The ridge penalties of its columns, for `count` values with a usual deviation of 1.
    pub fn penalties(&self, count: f64) -> Vec<f64> {
        match self {
            // The level has no penalty, the slope a small one, and its changes a larger one.
            Self::Level => vec![0.0],
            Self::Trend => [0.005 * count].into_iter().chain([0.01 * count; CHANGES]).collect(),
            Self::Season(_, harmonics) => {
                let harmonic = |k: usize| [0.001 * count * (k * k) as f64 / 4.0; 2];
                (1..=*harmonics).flat_map(harmonic).collect()
            }
            Self::Weekend => vec![0.005 * count; self.width()],
            Self::Event(_) => vec![0.2; PARTS],
        }
    }

    /// Calls `tell` for every column at each of the next `count` times, with the place of the time, the place of
    /// the column and the value.
    pub fn walk(
        &self,
        span: &Span,
        clock: &Clock<'_>,
        count: usize,
        mut tell: impl FnMut(usize, usize, f64),
    ) {
        match self {
            Self::Level => (0..count).for_each(|place| tell(place, 0, 1.0)),
            Self::Trend => {
                let mut fading = Fading::new(clock.step as f64 / span.length as f64);
                for place in 0..count {
                    let now = fading.goes_to(span.at(clock.at(place)));
                    tell(place, 0, now);
                    for i in 0..CHANGES {
                        let change = CHANGING * (i + 1) as f64 / (CHANGES + 1) as f64;
                        tell(place, 1 + i, if now > change { now - change } else { 0.0 });
                    }
                }
            }
            Self::Season(length, harmonics) => {
                let length = *length as u64;
                let steps = (clock.start / clock.step.max(1)) % length;
                let mut angle = Angle::of(steps as f64 / length as f64);
                let turn = Angle::of(1.0 / length as f64);
                for place in 0..count {
                    angle.multiples(*harmonics, |k, value| tell(place, k, value));
                    angle = angle.plus(turn);
                }
            }
            Self::Weekend => {
                let mut angle = Angle::of(of_day(clock.start));
                let turn = Angle::of(of_day(clock.step));
                for place in 0..count {
                    let weekend = if day_of_week(clock.at(place)) >= 5 { 1.0 } else { 0.0 };
                    tell(place, 0, weekend);
                    angle.multiples(WEEKEND, |k, value| tell(place, 1 + k, weekend * value));
                    angle = angle.plus(turn);
                }
            }
            Self::Event(name) => {
                let named = clock.events.iter().filter(|event| event.name == *name);
                let named: Vec<&CalendarEvent> = named.collect();
                for place in 0..count {
                    let time = clock.at(place);
                    let now = named.iter().filter_map(|event| part_of(event, time)).next_back();
                    for part in 0..PARTS {
                        tell(place, part, if now == Some(part) { 1.0 } else { 0.0 });
                    }
                }
            }
        }
    }
}

/// The time constant, as a share of the history's length, with which a slope decays beyond the history.
const REACH: f64 = 0.1;

/// The time of the trend at equal steps: it slows down beyond the history.
struct Fading {
    ratio: f64,
    left: Option<f64>,
}

impl Fading {
    fn new(step: f64) -> Self {
        Self { ratio: (-step / REACH).exp(), left: None }
    }

    /// The time of the trend at the next step, on the scale of [`Span`].
    fn goes_to(&mut self, now: f64) -> f64 {
        if now <= 1.0 {
            return now;
        }
        let left = self.left.map_or_else(|| (-(now - 1.0) / REACH).exp(), |left| left * self.ratio);
        self.left = Some(left);
        1.0 + REACH * (1.0 - left)
    }
}

/// A sine and a cosine.
#[derive(Clone, Copy)]
struct Angle {
    sine: f64,
    cosine: f64,
}

impl Angle {
    /// The angle of `turns` full turns.
    fn of(turns: f64) -> Self {
        let (sine, cosine) = (TAU * turns).sin_cos();
        Self { sine, cosine }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            sine: self.sine * other.cosine + self.cosine * other.sine,
            cosine: self.cosine * other.cosine - self.sine * other.sine,
        }
    }

    /// Calls `tell` with the sines and cosines of 1, 2, 3… times the angle, alternately.
    fn multiples(self, count: usize, mut tell: impl FnMut(usize, f64)) {
        let mut angle = self;
        for k in 0..count {
            tell(2 * k, angle.sine);
            tell(2 * k + 1, angle.cosine);
            angle = angle.plus(self);
        }
    }
}

/// Which part of an event a time falls into.
fn part_of(event: &CalendarEvent, time: u64) -> Option<usize> {
    let window = &event.window;
    let length = window.end_ms.checked_sub(window.start_ms).filter(|length| *length > 0)?;
    let passed = time.checked_sub(window.start_ms).filter(|passed| *passed < length)?;
    Some((passed as f64 / length as f64 * PARTS as f64) as usize)
}
