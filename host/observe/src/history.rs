use std::collections::{BTreeMap, BTreeSet};

use haggle_model::{Name, Series, Span, Timestamp};

use crate::{
    Accepted, CounterSeries, FailureReport, LeftOut, Sample, SampleError, SeriesKey,
    accepted::Outside, growth::only_grows, ring::Ring,
};

/// The recent samples of every series, in memory and bounded.
///
/// Samples may arrive late, repeatedly and out of order: the latest arrival for a time counts. Samples older
/// than the history or in the future are left out, and the answer lists them.
#[derive(Debug)]
pub struct History {
    limits: HistoryLimits,
    rings: BTreeMap<SeriesKey, Ring>,
    /// The series that were reported as counters.
    counters: BTreeSet<SeriesKey>,
}

/// The number of recent points that show whether a series is a counter.
const RECENT: usize = 240;

/// The limits of a history. When full, it uses at most `series × points × 20` bytes plus the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryLimits {
    /// The maximum age of a sample.
    pub keep: Span,
    /// Maximum number of points per series; the oldest are dropped first.
    pub points: usize,
    /// Maximum number of series.
    pub series: usize,
    /// How far ahead of the host's clock a sample's time may be.
    pub ahead: Span,
}

/// The level of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// The time of the newest sample in it.
    pub at: Timestamp,
    /// The mean, in the unit of the metric.
    pub value: f64,
    /// The number of steps that the series is known for: at most its number of samples.
    pub steps: usize,
}

/// The reason why a batch is refused. No part of it is then stored.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// A sample or failure is invalid.
    #[error(transparent)]
    Invalid(#[from] SampleError),
    /// Every sample or failure lies in the future.
    #[error(
        "{what} {index}: time is {time}, {} ahead of the host's clock ({now}), and at most {ahead} is taken: set the clock of its source, or leave the time out", time.since(*now)
    )]
    Future {
        /// "sample" or "failure".
        what: &'static str,
        /// The position in the batch, from 0.
        index: usize,
        /// Its time.
        time: Timestamp,
        /// The host's time.
        now: Timestamp,
        /// The maximum distance into the future.
        ahead: Span,
    },
    /// The batch would exceed the maximum number of series.
    #[error(
        "sample {index}: there are {limit} series already, the most that are kept: send fewer instances or metrics"
    )]
    TooManySeries {
        /// The position in the batch, from 0.
        index: usize,
        /// The limit.
        limit: usize,
    },
}

impl History {
    /// Creates an empty history.
    #[must_use]
    pub fn new(limits: HistoryLimits) -> Self {
        Self { limits, rings: BTreeMap::new(), counters: BTreeSet::new() }
    }

    /// Extends the history to at least this age, with proportionally more points.
    pub fn reach(&mut self, back: Span) {
        self.limits = self.limits.reaching(back);
    }

    /// Returns the maximum age of a sample.
    #[must_use]
    pub const fn keep(&self) -> Span {
        self.limits.keep
    }

    /// Whether samples of that time are stored. Earlier samples are too old for every policy, and later ones
    /// come from a wrong clock.
    #[must_use]
    pub fn takes(&self, now: Timestamp, time: Timestamp) -> bool {
        self.outside(now, time).is_none()
    }

    fn outside(&self, now: Timestamp, time: Timestamp) -> Option<Outside> {
        if time < now.before(self.limits.keep) {
            Some(Outside::Stale)
        } else if time > now + self.limits.ahead {
            Some(Outside::Ahead)
        } else {
            None
        }
    }

    /// Describes an item whose time is outside of the history.
    fn left_out(
        &self,
        what: &str,
        index: usize,
        outside: Outside,
        now: Timestamp,
        time: Timestamp,
    ) -> LeftOut {
        let limit = match outside {
            Outside::Stale => self.limits.keep,
            Outside::Ahead => self.limits.ahead,
        };
        LeftOut::new(what, index, outside, (time, now), limit)
    }

    /// Stores one sample; see [`History::push_all`].
    ///
    /// # Errors
    /// [`PushError`], with 0 as the index.
    pub fn push(&mut self, now: Timestamp, sample: &Sample) -> Result<Accepted, PushError> {
        self.push_all(now, std::slice::from_ref(sample))
    }

    /// Stores a batch of samples. An invalid sample refuses the whole batch. Samples that are too old are
    /// left out and listed, because a client that retries would fail forever. Samples that are too far ahead
    /// are left out too, unless that leaves nothing: then the batch is refused.
    ///
    /// # Errors
    /// [`PushError`] with the sample and the field.
    pub fn push_all(&mut self, now: Timestamp, samples: &[Sample]) -> Result<Accepted, PushError> {
        self.check(now, samples)?;
        let mut accepted = Accepted::default();
        let mut loads = BTreeSet::new();
        for (index, sample) in samples.iter().enumerate() {
            let time = sample.time.unwrap_or(now);
            if let Some(outside) = self.outside(now, time) {
                let what = Sample::WHAT;
                accepted.leave_out(outside, || self.left_out(what, index, outside, now, time));
                continue;
            }
            let key = SeriesKey::of(sample);
            if key.is_load() && !loads.contains(&key) {
                loads.insert(key.clone());
            }
            self.rings.entry(key).or_default().insert(time, sample.value, self.limits.points);
            accepted.stored += 1;
        }
        accepted.counters = self.counters_of(loads);
        Ok(accepted)
    }

    /// Returns the loads that look like counters.
    fn counters_of(&mut self, loads: BTreeSet<SeriesKey>) -> Vec<CounterSeries> {
        let mut found = Vec::new();
        for key in loads {
            let recent = self.rings.get(&key).into_iter().flat_map(|ring| ring.recent(RECENT));
            if only_grows(recent).is_none() {
                self.counters.remove(&key);
            } else if found.len() < Accepted::MOST_LISTED {
                let is_new = self.counters.insert(key.clone());
                found.push(CounterSeries { key, is_new });
            }
        }
        found
    }

    /// Checks whether [`History::push_all`] would accept the batch, without changing anything.
    ///
    /// # Errors
    /// [`PushError`] with the sample and the field.
    pub fn check(&self, now: Timestamp, samples: &[Sample]) -> Result<(), PushError> {
        let mut added = BTreeSet::new();
        for (index, sample) in samples.iter().enumerate() {
            sample.validate(index)?;
            let key = SeriesKey::of(sample);
            if self.takes(now, sample.time.unwrap_or(now)) && !self.rings.contains_key(&key) {
                added.insert(key);
            }
            if self.rings.len() + added.len() > self.limits.series {
                return Err(PushError::TooManySeries { index, limit: self.limits.series });
            }
        }
        self.not_all_ahead(Sample::WHAT, now, samples.iter().map(|sample| sample.time))
    }

    /// Checks a batch of failures: instances and times follow the same rules as in samples.
    ///
    /// # Errors
    /// [`PushError`] with the failure and the field.
    pub fn check_failures(
        &self,
        now: Timestamp,
        failures: &[FailureReport],
    ) -> Result<(), PushError> {
        for (index, failure) in failures.iter().enumerate() {
            failure.validate(index)?;
        }
        self.not_all_ahead(FailureReport::WHAT, now, failures.iter().map(|failure| failure.time))
    }

    /// Removes the failures that are too old or too far ahead, and says what becomes of all of them.
    pub fn accept_failures(&self, now: Timestamp, failures: &mut Vec<FailureReport>) -> Accepted {
        let mut accepted = Accepted::default();
        let mut index = 0;
        failures.retain(|failure| {
            let (what, time) = (FailureReport::WHAT, failure.time.unwrap_or(now));
            let outside = self.outside(now, time);
            if let Some(outside) = outside {
                accepted.leave_out(outside, || self.left_out(what, index, outside, now, time));
            }
            index += 1;
            outside.is_none()
        });
        accepted.stored = failures.len();
        accepted
    }

    /// Refuses items that all lie in the future: their source has a wrong clock.
    fn not_all_ahead(
        &self,
        what: &'static str,
        now: Timestamp,
        mut times: impl Iterator<Item = Option<Timestamp>>,
    ) -> Result<(), PushError> {
        let ahead = self.limits.ahead;
        let time = |time: Option<Timestamp>| time.unwrap_or(now);
        let Some(first) = times.next().map(time).filter(|first| *first > now + ahead) else {
            return Ok(());
        };
        if times.map(time).all(|time| time > now + ahead) {
            return Err(PushError::Future { what, index: 0, time: first, now, ahead });
        }
        Ok(())
    }

    /// Returns the series for a policy: the last `length` whole steps before `now`, each with the mean of its
    /// samples, or NaN if there are none. Steps begin at multiples of `step` since the epoch; the incomplete
    /// step at `now` is omitted. Steps before the first known value are also omitted, so the series may be
    /// shorter, or empty.
    #[must_use]
    pub fn series(&self, key: &SeriesKey, now: Timestamp, step: Span, length: usize) -> Series {
        let step = Span::from_millis(step.as_millis().max(1));
        let end = now.floor(step);
        let reach = Span::from_millis(step.as_millis().saturating_mul(length as u64));
        let earliest = end.before(reach).floor(step);
        let mut start = end;
        let mut values: Vec<f64> = Vec::new();
        // The end of the last step, and the number of samples in its mean.
        let (mut over, mut count) = (end, 0.0);
        let points = self.rings.get(key).into_iter().flat_map(|ring| ring.between(earliest, end));
        for (time, value) in points {
            if values.is_empty() {
                start = time.floor(step);
                over = start;
                values.reserve_exact(slots(start, end, step));
            }
            if time >= over {
                // Usually the value is in the next step, which needs no division.
                let missing = if time < over + step { 0 } else { slots(over, time, step) };
                values.resize(values.len() + missing, f64::NAN);
                values.push(value);
                let known = step.as_millis().saturating_mul(values.len() as u64);
                over = start + Span::from_millis(known);
                count = 1.0;
            } else if let Some(mean) = values.last_mut() {
                count += 1.0;
                *mean += (value - *mean) / count;
            }
        }
        values.resize(slots(start, end, step), f64::NAN);
        Series { start, step, values }
    }

    /// Returns the newest sample of a series.
    #[must_use]
    pub fn latest(&self, key: &SeriesKey) -> Option<(Timestamp, f64)> {
        self.rings.get(key)?.latest()
    }

    /// Returns the present level of a series: the mean of its samples within one `step` up to the newest, so
    /// that a single odd sample counts for no more than its part of a step.
    #[must_use]
    pub fn level(&self, key: &SeriesKey, step: Span) -> Option<Level> {
        let step = Span::from_millis(step.as_millis().max(1));
        let ring = self.rings.get(key)?;
        let ((first, _), (latest, _)) = (ring.first()?, ring.latest()?);
        let end = latest + Span::from_millis(1);
        let mut mean = 0.0;
        for (count, (_, value)) in ring.between(end.before(step), end).enumerate() {
            mean += (value - mean) / (count as f64 + 1.0);
        }
        let spanned = slots(first.floor(step), latest, step).saturating_add(1);
        Some(Level { at: latest, value: mean, steps: spanned.min(ring.len()) })
    }

    /// Returns all series, ordered by service, metric and instance.
    pub fn keys(&self) -> impl Iterator<Item = &SeriesKey> {
        self.rings.keys()
    }

    /// Returns the series of one service.
    pub fn keys_of(&self, service: &Name) -> impl Iterator<Item = &SeriesKey> {
        let first = SeriesKey { service: service.clone(), metric: String::new(), instance: None };
        self.rings
            .range(first..)
            .map(|(key, _)| key)
            .take_while(move |key| key.service.as_str() == service.as_str())
    }

    /// Returns the total number of points.
    #[must_use]
    pub fn points(&self) -> usize {
        self.rings.values().map(Ring::len).sum()
    }

    /// Drops samples older than the history, and series without samples.
    pub fn prune(&mut self, now: Timestamp) {
        let oldest = now.before(self.limits.keep);
        self.rings.retain(|_, ring| {
            ring.prune(oldest);
            ring.len() > 0
        });
        self.counters.retain(|key| self.rings.contains_key(key));
    }

    /// Drops all series of a service.
    pub fn forget(&mut self, service: &Name) {
        self.rings.retain(|key, _| key.service != *service);
        self.counters.retain(|key| key.service != *service);
    }
}

impl HistoryLimits {
    /// Maximum number of points per series, for any age.
    pub const MOST_POINTS: usize = 100_000;

    /// Returns limits that reach at least this far back, with proportionally more points: at most
    /// [`HistoryLimits::MOST_POINTS`], or the present number if that is higher.
    #[must_use]
    pub fn reaching(self, back: Span) -> Self {
        if back <= self.keep {
            return self;
        }
        let times = back.as_millis() as f64 / self.keep.as_millis().max(1) as f64;
        let points = (self.points as f64 * times).ceil() as usize;
        Self { keep: back, points: points.min(Self::MOST_POINTS).max(self.points), ..self }
    }
}

/// Returns the number of whole steps between two times.
fn slots(start: Timestamp, end: Timestamp, step: Span) -> usize {
    let whole = end.since(start).as_millis().checked_div(step.as_millis()).unwrap_or(0);
    usize::try_from(whole).unwrap_or(usize::MAX)
}

impl Default for HistoryLimits {
    /// A day and an hour, 10,000 points per series, 200,000 series, and a minute of clock skew.
    fn default() -> Self {
        Self {
            keep: Span::from_mins(25 * 60),
            points: 10_000,
            series: 200_000,
            ahead: Span::from_mins(1),
        }
    }
}

#[cfg(test)]
mod tests;
