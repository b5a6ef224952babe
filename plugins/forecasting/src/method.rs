use haggle_sdk::types::CalendarEvent;

use crate::{
    bytes::{Reader, Unreadable, Writer},
    prepare::Prepared,
};

/// The times of some values, and what is known of them.
#[derive(Clone, Copy, Debug)]
pub struct Clock<'a> {
    /// The time of the first value, in milliseconds since the epoch.
    pub start: u64,
    /// The distance between two, in milliseconds; never 0.
    pub step: u64,
    /// Every event that may touch them, and others.
    pub events: &'a [CalendarEvent],
}

impl<'a> Clock<'a> {
    /// The time of the value at `place`.
    #[must_use]
    pub fn at(&self, place: usize) -> u64 {
        self.start.saturating_add(self.step.saturating_mul(place as u64))
    }

    /// The same clock, some values later.
    #[must_use]
    pub fn after(&self, count: usize) -> Clock<'a> {
        Clock { start: self.at(count), ..*self }
    }
}

/// What a fit is for.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// Season lengths worth trying, in steps, the shortest first: those given and a week of given days, or
    /// those detected. Each fits into the history twice.
    pub seasons: &'a [usize],
    /// How many steps ahead will be asked for; at least 1.
    pub horizon: usize,
    /// The events that fall into the history or the horizon.
    pub events: &'a [CalendarEvent],
}

/// A way to forecast a single series: parameters that were fitted, and a state that follows the values.
///
/// Everything is on the scale of [`Prepared`] (median about 0, usual deviation about 1) and finite, but
/// that NaN is a missing value. [`crate::Model`] adds what is the same for every method: scale, time,
/// intervals, confidence.
pub trait Method: Clone + Sized {
    /// The plugin's name.
    const NAME: &'static str;
    /// Its version.
    const VERSION: &'static str;
    /// One or two sentences on it.
    const SUMMARY: &'static str;
    /// Four letters and a version of the model bytes, unlike any other method's.
    const TAG: [u8; 5];

    /// Fits the history, of which at least one value is present; the state is that after its last value.
    /// Short and dull histories get a simple model, not none.
    fn fit(series: &Prepared, setting: &Setting<'_>) -> Self;

    /// The same parameters with the state before the value at the place that is returned with it (0 where
    /// the method can begin at once): from there on its forecasts of the past are judged.
    fn rewind(&self, series: &Prepared) -> (Self, usize);

    /// Takes in the next values; NaN is missing, and moves the time all the same.
    fn update(&mut self, values: &[f64], clock: &Clock<'_>);

    /// The expected values of the next steps, one for each place of `means`.
    fn expect(&self, clock: &Clock<'_>, means: &mut [f64]);

    /// Takes in the next values one by one, and says what it expected of each before it came: what
    /// [`Method::expect`] of one step and [`Method::update`] would, in turn. For methods that have a cheaper
    /// way.
    fn advance(&mut self, values: &[f64], clock: &Clock<'_>) -> Vec<f64> {
        let mut step = |(place, value): (usize, &f64)| {
            let (clock, mut expected) = (clock.after(place), [0.0]);
            self.expect(&clock, &mut expected);
            self.update(&[*value], &clock);
            let [expected] = expected;
            expected
        };
        values.iter().enumerate().map(&mut step).collect()
    }

    /// The standard deviation of the error at each of the next steps by the method's own formula, not
    /// falling. Errors that were made correct it, but it says how it grows.
    fn deviations(&self, deviations: &mut [f64]);

    /// Writes parameters and state.
    fn write(&self, out: &mut Writer);

    /// Reads what [`Method::write`] wrote.
    ///
    /// # Errors
    /// [`Unreadable`] for anything that could not have been written.
    fn read(input: &mut Reader<'_>) -> Result<Self, Unreadable>;

    /// The longest season that the state follows, in steps; 0 without one. A gap of twice as much is too
    /// long to go on from.
    fn longest_season(&self) -> usize {
        0
    }
}
