use std::rc::Rc;

use haggle_forecasting::{
    Clock, History, MOST_WORSE, Prepared, Scale, Spread, confidence, follow, follow_noise,
    intervals, larger, mean, movement, restlessness,
};
use haggle_gradient_boosting::Forest;
use haggle_sdk::{Fault, forecasting::Outlook, types::CalendarEvent};

use crate::{
    member::Member,
    pool::Pool,
    weights::{Weighed, weigh},
};

/// A fitted series: its members, the errors of their common forecast, and its state.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The scale of everything below.
    pub scale: Scale,
    /// The members that forecast it.
    pub members: Vec<Weighed>,
    /// The distribution of the forecast errors.
    pub spread: Spread,
    /// How restless the series is, see [`restlessness`].
    pub restless: f64,
    /// The usual error over one step when it was fitted, and a running mean of it since.
    pub noise: [f64; 2],
    /// The usual change from one value to the next.
    pub movement: f64,
    /// How many values it was fitted to.
    pub present: u32,
    /// The last values, as many as the members need, with gaps filled.
    pub tail: Vec<f64>,
    /// The time of the next value, in milliseconds since the epoch.
    pub next: u64,
    /// The distance between two values, in milliseconds.
    pub step: u64,
}

impl Model {
    /// Weighs the members and measures the errors of their common forecast.
    #[must_use]
    pub fn settle(series: &Prepared, pool: Pool) -> Self {
        let weights = pool.select();
        let track = pool.cross_validate();
        let restless = restlessness(&series.clean);
        let at = |origin: &usize| restless.get(origin - 1).copied().unwrap_or(0.0);
        let then: Vec<f64> = pool.origins.iter().map(at).collect();
        let count = series.values.len();
        // A lower bound of the errors, for a history that was forecast without any.
        let least = 1.0 / count as f64;
        let spread = Spread::of(&track, &then, least, &walk(track.horizon));
        let one = mean(track.between(1, 1).iter().map(|error| error.abs())).max(least);
        let usual = pool.usual();
        let members: Vec<Weighed> = pool
            .members
            .into_iter()
            .zip(weights.into_iter().zip(usual))
            .filter(|(_, (weight, _))| *weight > 0.0)
            .map(|(member, (weight, usual))| Weighed { member, fitted: weight, weight, usual })
            .collect();
        let need = members.iter().map(|one| one.member.needs()).max().unwrap_or(0).max(1);
        let tail = series.clean.get(count.saturating_sub(need)..).unwrap_or_default();
        Self {
            scale: series.scale,
            members,
            spread,
            restless: restless.last().copied().unwrap_or(0.0),
            noise: [one, one],
            movement: movement(&series.values),
            present: u32::try_from(series.present).unwrap_or(u32::MAX),
            tail: tail.to_vec(),
            next: series.start.saturating_add(series.step.saturating_mul(count as u64)),
            step: series.step,
        }
    }

    /// Gives the members the forest that they share.
    ///
    /// # Errors
    /// [`Fault::IncompatibleModel`] if a member needs the forest and there is none.
    pub fn attach(&mut self, forest: Option<&Rc<Forest>>) -> Result<(), Fault> {
        for Weighed { member, .. } in &mut self.members {
            match (&member, forest) {
                (Member::Boosted(_), Some(forest)) => member.attach(forest),
                (Member::Boosted(_), None) => {
                    let alone = "the model of a series needs what was fitted with it across series";
                    return Err(Fault::IncompatibleModel(alone.into()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Updates the model with the values of the window that are new to it, without a fit. A gap before them counts
    /// as missing values. Returns false, and changes nothing, if the window does not continue the model (see
    /// [`History::beyond`]), or if the fit saw only zeros, which give no scale, and a new value is not 0.
    #[must_use]
    pub fn resume(&mut self, window: History<'_>, events: &[CalendarEvent]) -> bool {
        let season = self.members.iter().map(|one| one.member.longest_season()).max();
        let beyond = window.beyond(self.next, self.step, season.unwrap_or(0));
        let Some(beyond) = beyond else { return false };
        let woken = |v: &f64| v.is_finite() && *v != 0.0;
        if self.scale.largest == 0.0 && beyond.new.iter().any(woken) {
            return false;
        }
        let missing = std::iter::repeat_n(f64::NAN, beyond.gap);
        let known = beyond.new.iter().map(|value| self.scale.apply(*value));
        let values: Vec<f64> = missing.chain(known).collect();
        let clock = Clock { start: self.next, step: self.step, events };
        let advance = |one: &mut Weighed| one.member.advance(&values, &clock);
        let expected: Vec<Vec<f64>> = self.members.iter_mut().map(advance).collect();
        for (place, value) in values.iter().enumerate() {
            let own = |(one, expected): (&Weighed, &Vec<f64>)| match one.member {
                Member::Simple(simple) => simple.next(&self.tail),
                _ => expected.get(place).copied().unwrap_or(0.0),
            };
            let own: Vec<f64> = self.members.iter().zip(&expected).map(own).collect();
            self.take_in(*value, &own);
        }
        self.next = clock.at(values.len());
        true
    }

    /// Updates the model with the next value, on the scale; NaN is missing. `own` holds the expectation of each
    /// member.
    fn take_in(&mut self, value: f64, own: &[f64]) {
        let expected = self.members.iter().zip(own).map(|(one, own)| one.weight * own).sum();
        let last = self.tail.last().copied().unwrap_or(expected);
        let known = if value.is_nan() { expected } else { value };
        if !value.is_nan() {
            follow_noise(&mut self.noise, value - expected);
            self.restless = follow(self.restless, (value - last).abs());
            weigh(&mut self.members, own.iter().map(|own| value - own), self.noise[0]);
        }
        self.tail.rotate_left(1);
        if let Some(last) = self.tail.last_mut() {
            *last = known;
        }
    }

    /// The expected values of the next steps, on the scale.
    fn expect(&self, clock: &Clock<'_>, means: &mut [f64]) {
        let mut own = vec![0.0; means.len()];
        means.fill(0.0);
        for Weighed { member, weight, .. } in &self.members {
            member.expect(&self.tail, clock, &mut own);
            means.iter_mut().zip(&own).for_each(|(mean, own)| *mean += weight * own);
        }
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
        let clock = Clock { start: self.next, step: self.step, events };
        let mut means = vec![0.0; horizon as usize];
        self.expect(&clock, &mut means);
        let mut errors = walk(means.len());
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
}

/// How the errors of a random walk grow with the steps ahead; the ensemble has no formula of its own for that.
fn walk(steps: usize) -> Vec<f64> {
    (1..=steps).map(|h| (h as f64).sqrt()).collect()
}
