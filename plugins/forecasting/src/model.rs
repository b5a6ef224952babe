use haggle_sdk::{forecasting::Outlook, types::CalendarEvent};

use crate::{
    bytes::{Reader, Unreadable, Writer},
    confidence::{confidence, movement},
    history::History,
    method::{Clock, Method, Setting},
    outlook::{MOST_STEPS, intervals},
    prepare::Prepared,
    scale::Scale,
    season::candidates,
    spread::{Spread, follow, restlessness},
    statistics::{larger, mean, smaller},
    track::{Track, track},
};

/// A fitted series: a method with its state, and the errors of its past forecasts.
#[derive(Clone, Debug, PartialEq)]
pub struct Model<M> {
    /// The scale of everything below.
    pub scale: Scale,
    /// Parameters and state, after the last value.
    pub method: M,
    /// The usual error over one step when it was fitted, and a running mean of it since.
    pub noise: [f64; 2],
    /// The distribution of the forecast errors.
    pub spread: Spread,
    /// The last value that was present.
    pub last: f64,
    /// How restless the series is, see [`restlessness`].
    pub restless: f64,
    /// The usual change from one value to the next.
    pub movement: f64,
    /// How many values it was fitted to.
    pub present: u32,
    /// The time of the next value, in milliseconds since the epoch.
    pub next: u64,
    /// The distance between two values, in milliseconds.
    pub step: u64,
}

/// The number of origins from which the past is forecast.
const ORIGINS: usize = 100;
/// How quickly the running error over one step follows new errors.
const NOISE_GAIN: f64 = 0.05;
/// The largest factor by which intervals widen if the forecasts become worse after the fit.
pub const MOST_WORSE: f64 = 3.0;

/// Updates the running usual error over one step with another error. The error is capped: a single huge one is an
/// outlier and changes little, while several in a row raise the running error.
pub fn follow_noise([fitted, running]: &mut [f64; 2], error: f64) {
    let error = smaller(error.abs(), 10.0 * *fitted + 2.0 * *running);
    *running += NOISE_GAIN * (error - *running);
}

impl<M: Method> Model<M> {
    /// Fits a history for forecasts of up to `horizon` steps; none if no value is present. `seasons` are
    /// those given; without any they are detected.
    #[must_use]
    pub fn fit(
        history: History<'_>,
        seasons: &[u32],
        horizon: u32,
        events: &[CalendarEvent],
    ) -> Option<Self> {
        let horizon = horizon.clamp(1, MOST_STEPS) as usize;
        let likely = seasons.first().map_or(0, |season| *season as usize);
        let series = Prepared::of(history, likely)?;
        let candidates = candidates(&series.values, seasons, series.step);
        let setting = Setting { seasons: &candidates, horizon, events };
        let method = M::fit(&series, &setting);
        let clock = Clock { start: series.start, step: series.step, events };
        let reach = horizon.min(series.values.len() / 2).max(1);
        let track = track(method.rewind(&series), &series, &clock, reach, ORIGINS, setting.seasons);
        Some(Self::settle(method, &series, &track))
    }

    /// Joins a fitted method with the errors of its past forecasts.
    #[must_use]
    pub fn settle(method: M, series: &Prepared, track: &Track) -> Self {
        let mut growth = vec![0.0; track.horizon];
        method.deviations(&mut growth);
        let restless = restlessness(&series.clean);
        let at = |origin: &usize| restless.get(origin - 1).copied().unwrap_or(0.0);
        let then: Vec<f64> = track.origins.iter().map(at).collect();
        let count = series.values.len();
        // A lower bound of the errors, for a history that was forecast without any.
        let least = 1.0 / count.max(1) as f64;
        let one = mean(track.between(1, 1).iter().map(|error| error.abs())).max(least);
        Self {
            scale: series.scale,
            spread: Spread::of(track, &then, least, &growth),
            last: series.clean.last().copied().unwrap_or(0.0),
            restless: restless.last().copied().unwrap_or(0.0),
            noise: [one, one],
            movement: movement(&series.values),
            present: u32::try_from(series.present).unwrap_or(u32::MAX),
            next: series.start.saturating_add(series.step.saturating_mul(count as u64)),
            step: series.step,
            method,
        }
    }

    /// Updates the model with the values of the window that are new to it, without a fit. A gap before them counts
    /// as missing values. Returns false, and changes nothing, if the window does not continue the model (see
    /// [`History::beyond`]), or if the fit saw only zeros, which give no scale, and a new value is not 0.
    #[must_use]
    pub fn resume(&mut self, window: History<'_>, events: &[CalendarEvent]) -> bool {
        let season = self.method.longest_season();
        let Some(beyond) = window.beyond(self.next, self.step, season) else { return false };
        let woken = |v: &f64| v.is_finite() && *v != 0.0;
        if self.scale.largest == 0.0 && beyond.new.iter().any(woken) {
            return false;
        }
        let missing = std::iter::repeat_n(f64::NAN, beyond.gap);
        let clock = Clock { start: self.next, step: self.step, events };
        let known = beyond.new.iter().map(|value| self.scale.apply(*value));
        let values: Vec<f64> = missing.chain(known).collect();
        let expected = self.method.advance(&values, &clock);
        for (value, expected) in values.iter().zip(expected).filter(|(value, _)| !value.is_nan()) {
            follow_noise(&mut self.noise, value - expected);
            self.restless = follow(self.restless, (value - self.last).abs());
            self.last = *value;
        }
        self.next = clock.at(values.len());
        true
    }

    /// Forecasts `horizon` steps after the last known value.
    #[must_use]
    pub fn outlook(
        &self,
        horizon: u32,
        levels: &[f64],
        non_negative: bool,
        events: &[CalendarEvent],
    ) -> Outlook {
        let steps = horizon.clamp(1, MOST_STEPS) as usize;
        let clock = Clock { start: self.next, step: self.step, events };
        let mut means = vec![0.0; steps];
        self.method.expect(&clock, &mut means);
        let mut errors = vec![0.0; steps];
        self.method.deviations(&mut errors);
        self.spread.scale(&mut errors);
        let [fitted, running] = self.noise;
        let worse = (running / fitted.max(f64::MIN_POSITIVE)).sqrt().clamp(1.0, MOST_WORSE);
        let factor = worse * self.spread.factor(self.restless);
        let floor = if non_negative { 0.0 } else { f64::MIN };
        let quantile = |probability| factor * self.spread.shape.at(probability);
        let error = factor * mean(errors.iter().copied());
        Outlook {
            intervals: intervals(&means, levels, &self.scale, floor, &errors, quantile),
            mean: means.into_iter().map(|value| larger(self.scale.undo(value), floor)).collect(),
            confidence: confidence(error, self.movement, self.present as usize),
        }
    }

    /// The model as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::new(M::TAG);
        self.scale.write(&mut out);
        out.long(self.next);
        out.long(self.step);
        out.numbers(&[self.last, self.restless, self.movement]);
        out.numbers(&self.noise);
        out.whole(self.present);
        self.spread.write(&mut out);
        self.method.write(&mut out);
        out.finish()
    }

    /// Reads a model from bytes.
    ///
    /// # Errors
    /// [`Unreadable`] for anything but the bytes of a model of this method and version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut rest = Reader::new(bytes, M::TAG)?;
        let scale = Scale::read(&mut rest)?;
        let (next, step) = (rest.long()?, rest.long()?);
        let (last, restless, movement) = (rest.number()?, rest.number()?, rest.number()?);
        let noise = [rest.number()?, rest.number()?];
        let present = rest.whole()?;
        let spread = Spread::read(&mut rest)?;
        let method = M::read(&mut rest)?;
        rest.finish()?;
        let magnitudes = [restless, movement, noise[0], noise[1]];
        if step == 0 || magnitudes.iter().any(|magnitude| *magnitude < 0.0) {
            return Err(Unreadable);
        }
        Ok(Self { scale, method, spread, last, restless, noise, movement, present, next, step })
    }
}
