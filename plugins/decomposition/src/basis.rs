//! The columns of the regression, in blocks that are taken or left as a whole.

use std::f64::consts::TAU;

use haggle_forecasting::{Clock, DAY, day_of_week};
use haggle_sdk::types::Event;

/// What a block of columns describes.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// Level, slope and changes of the slope.
    Trend,
    /// A season of so many steps, in so many harmonics.
    Season(usize, usize),
    /// The weekend, and its own course of the day.
    Weekend,
    /// All events of one name.
    Event(String),
}

/// Where the slope may change: so many places, evenly over the first part of the history.
pub const CHANGES: usize = 8;
/// Changes after this share of the history are too young to go on with.
const CHANGING: f64 = 0.85;
/// The harmonics of a season at most.
const HARMONICS: usize = 20;
/// Those of the weekend's day.
const WEEKEND: usize = 3;
/// An event's effect may differ between so many parts of it.
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
    /// A season, as finely as it has steps for.
    #[must_use]
    pub fn season(length: usize) -> Self {
        Self::Season(length, (length.saturating_sub(1) / 2).clamp(1, HARMONICS))
    }

    /// How many columns it has.
    #[must_use]
    pub fn width(&self) -> usize {
        match self {
            Self::Trend => 2 + CHANGES,
            Self::Season(_, harmonics) => 2 * harmonics,
            Self::Weekend => 1 + 2 * WEEKEND,
            Self::Event(_) => PARTS,
        }
    }

    /// The penalties of its columns, for `count` values of usual deviation 1.
    pub fn penalties(&self, count: f64) -> Vec<f64> {
        match self {
            // The level is free; slopes are not believed at once, changes of them less.
            Self::Trend => {
                [0.0, 0.005 * count].into_iter().chain([0.01 * count; CHANGES]).collect()
            }
            Self::Season(_, harmonics) => {
                let harmonic = |k: usize| [0.001 * count * (k * k) as f64 / 4.0; 2];
                (1..=*harmonics).flat_map(harmonic).collect()
            }
            Self::Weekend => vec![0.005 * count; self.width()],
            Self::Event(_) => vec![0.2; PARTS],
        }
    }

    /// Appends its columns at one time.
    pub fn columns(&self, time: u64, span: &Span, clock: &Clock<'_>, row: &mut Vec<f64>) {
        match self {
            Self::Trend => {
                let now = span.at(time);
                // Beyond the history a slope goes on for as long as a tenth of it, then fades.
                let now =
                    if now > 1.0 { 1.0 + 0.1 * (1.0 - (-(now - 1.0) / 0.1).exp()) } else { now };
                let change = |i: usize| CHANGING * (i + 1) as f64 / (CHANGES + 1) as f64;
                row.extend([1.0, now]);
                row.extend((0..CHANGES).map(|i| (now - change(i)).max(0.0)));
            }
            Self::Season(length, harmonics) => {
                let steps = (time / clock.step.max(1)) % *length as u64;
                circle(steps as f64 / *length as f64, *harmonics, 1.0, row);
            }
            Self::Weekend => {
                let weekend = if day_of_week(time) >= 5 { 1.0 } else { 0.0 };
                row.push(weekend);
                circle((time % DAY) as f64 / DAY as f64, WEEKEND, weekend, row);
            }
            Self::Event(name) => {
                let part = clock.events.iter().filter(|event| event.name == *name);
                let part = part.filter_map(|event| part_of(event, time)).next_back();
                row.extend((0..PARTS).map(|p| if part == Some(p) { 1.0 } else { 0.0 }));
            }
        }
    }
}

/// Which part of an event a time falls into.
fn part_of(event: &Event, time: u64) -> Option<usize> {
    let window = &event.window;
    let length = window.end.checked_sub(window.start).filter(|length| *length > 0)?;
    let passed = time.checked_sub(window.start).filter(|passed| *passed < length)?;
    Some((passed as f64 / length as f64 * PARTS as f64) as usize)
}

/// Sines and cosines of the multiples of an angle, by the recurrence of Chebyshev.
fn circle(turn: f64, harmonics: usize, size: f64, row: &mut Vec<f64>) {
    let (sine, cosine) = (TAU * turn).sin_cos();
    let (mut s, mut c) = (0.0, 1.0);
    for _ in 0..harmonics {
        (s, c) = (s * cosine + c * sine, c * cosine - s * sine);
        row.extend([size * s, size * c]);
    }
}
