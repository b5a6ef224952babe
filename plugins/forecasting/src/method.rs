use haggle_sdk::types::CalendarEvent;

use crate::{
    bytes::{Reader, Unreadable, Writer},
    prepare::Prepared,
};

/// The times of some values, and the events around them.
#[derive(Clone, Copy, Debug)]
pub struct Clock<'a> {
    /// The time of the first value, in milliseconds since the epoch.
    pub start: u64,
    /// The distance between two, in milliseconds; never 0.
    pub step: u64,
    /// Every event that may overlap these times; others may be included.
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

/// The circumstances of a fit.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// Season lengths worth trying, in steps, the shortest first: the given ones and seven times the last of them
    /// (a week, if that is a day), or the detected ones. Each fits into the history twice.
    pub seasons: &'a [usize],
    /// How many steps ahead will be forecast; at least 1.
    pub horizon: usize,
    /// The events that fall into the history or the horizon.
    pub events: &'a [CalendarEvent],
}

/// A way to forecast a single series: parameters that were fitted, and a state that follows the values.
///
/// Everything is on the scale of [`Prepared`] (median about 0, usual deviation about 1) and finite, except that NaN
/// is a missing value. [`crate::Model`] adds what is the same for every method: scale, time, intervals, confidence.
pub trait Method: Clone + Sized {
    /// The plugin's name.
    const NAME: &'static str;
    /// Its version.
    const VERSION: &'static str;
    /// One or two sentences on it.
    const SUMMARY: &'static str;
    /// Four letters and a version of the model bytes, unlike any other method's.
    const TAG: [u8; 5];

    /// Fits the history, which has at least one value. The state is the one after the last value. Short and
    /// constant histories get a simple model.
    fn fit(series: &Prepared, setting: &Setting<'_>) -> Self;

    /// The method with the same parameters in an earlier state, and the place of the value that follows that state
    /// (0 if the method needs no values first). From there on, its forecasts of the past are judged.
    fn rewind(&self, series: &Prepared) -> (Self, usize);

    /// Updates the state with the next values. NaN is missing, but takes a step too.
    fn update(&mut self, values: &[f64], clock: &Clock<'_>);

    /// The expected values of the next steps, one for each place of `means`.
    fn expect(&self, clock: &Clock<'_>, means: &mut [f64]);

    /// Updates the state with the next values one by one, and returns the expectation of each before its update. It
    /// gives the same results as [`Method::expect`] for one step and [`Method::update`] in turn; methods with a
    /// cheaper way override it.
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

    /// The standard deviation of the error at each of the next steps by the method's own formula; it never
    /// decreases. Past errors correct its size, but not how it grows with the steps.
    fn deviations(&self, deviations: &mut [f64]);

    /// Writes parameters and state.
    fn write(&self, out: &mut Writer);

    /// Reads what [`Method::write`] wrote.
    ///
    /// # Errors
    /// [`Unreadable`] for anything that could not have been written.
    fn read(input: &mut Reader<'_>) -> Result<Self, Unreadable>;

    /// The longest season that the state follows, in steps; 0 without one. It bounds the gap after which a model
    /// can resume (see [`crate::History::beyond`]).
    fn longest_season(&self) -> usize {
        0
    }
}
