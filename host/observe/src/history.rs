use std::collections::{BTreeMap, BTreeSet};

use haggle_model::{Name, Series, Service, Span, Timestamp};

use crate::{DEFAULT_METRIC, FailureReport, Sample, SampleError, ring::Ring};

/// The recent samples of every series, in memory and bounded.
///
/// Samples may arrive late, repeatedly and out of order: the latest arrival for a time counts, samples older
/// than the history are dropped, and samples in the future are refused.
#[derive(Debug)]
pub struct History {
    limits: HistoryLimits,
    rings: BTreeMap<SeriesKey, Ring>,
}

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

/// Identifies a series.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesKey {
    /// The service.
    pub service: Name,
    /// The metric.
    pub metric: String,
    /// The replica, container or machine; `None` for the whole service.
    pub instance: Option<String>,
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

/// The result of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Number of samples stored.
    pub stored: usize,
    /// Number of samples that were too old to store.
    pub stale: usize,
}

/// The reason why a batch is refused. No part of it is then stored.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// A sample or failure is invalid.
    #[error(transparent)]
    Invalid(#[from] SampleError),
    /// A sample or failure lies in the future.
    #[error(
        "{what} {index}: time is {time}, more than {ahead} after {now}: set the clock of its source, or leave the time out"
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
        Self { limits, rings: BTreeMap::new() }
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

    /// Whether samples of that time are still accepted. Earlier samples are too old for every policy and need
    /// not be stored.
    #[must_use]
    pub fn takes(&self, now: Timestamp, time: Timestamp) -> bool {
        time >= now.before(self.limits.keep)
    }

    /// Stores one sample; see [`History::push_all`].
    ///
    /// # Errors
    /// [`PushError`], with 0 as the index.
    pub fn push(&mut self, now: Timestamp, sample: &Sample) -> Result<Accepted, PushError> {
        self.push_all(now, std::slice::from_ref(sample))
    }

    /// Stores a batch of samples as a whole or not at all. Samples that are too old are counted and are not
    /// an error, because a client that retries would fail forever.
    ///
    /// # Errors
    /// [`PushError`] with the sample and the field.
    pub fn push_all(&mut self, now: Timestamp, samples: &[Sample]) -> Result<Accepted, PushError> {
        self.check(now, samples)?;
        let mut accepted = Accepted::default();
        for sample in samples {
            let time = sample.time.unwrap_or(now);
            if self.takes(now, time) {
                let ring = self.rings.entry(SeriesKey::of(sample)).or_default();
                ring.insert(time, sample.value, self.limits.points);
                accepted.stored += 1;
            } else {
                accepted.stale += 1;
            }
        }
        Ok(accepted)
    }

    /// Checks whether [`History::push_all`] would accept the batch, without changing anything.
    ///
    /// # Errors
    /// [`PushError`] with the sample and the field.
    pub fn check(&self, now: Timestamp, samples: &[Sample]) -> Result<(), PushError> {
        let mut added = BTreeSet::new();
        for (index, sample) in samples.iter().enumerate() {
            sample.validate(index)?;
            let time = self.in_time(Sample::WHAT, index, now, sample.time)?;
            let key = SeriesKey::of(sample);
            if self.takes(now, time) && !self.rings.contains_key(&key) {
                added.insert(key);
            }
            if self.rings.len() + added.len() > self.limits.series {
                return Err(PushError::TooManySeries { index, limit: self.limits.series });
            }
        }
        Ok(())
    }

    /// Checks a batch of failures: instances and times follow the same rules as in samples.
    /// [`History::takes`] determines which of them are too old.
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
            self.in_time(FailureReport::WHAT, index, now, failure.time)?;
        }
        Ok(())
    }

    /// Returns the time of an item that arrived at `now`, or an error if it lies in the future.
    fn in_time(
        &self,
        what: &'static str,
        index: usize,
        now: Timestamp,
        time: Option<Timestamp>,
    ) -> Result<Timestamp, PushError> {
        let (time, ahead) = (time.unwrap_or(now), self.limits.ahead);
        if time > now + ahead {
            return Err(PushError::Future { what, index, time, now, ahead });
        }
        Ok(time)
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

    /// Returns the level of a series at `now`: the mean of its last complete step with a value, or of the
    /// incomplete step at `now` if no step is complete. A single odd sample counts for no more than its part of
    /// a step. Steps begin at multiples of `step` since the epoch.
    #[must_use]
    pub fn level(&self, key: &SeriesKey, now: Timestamp, step: Span) -> Option<Level> {
        let step = Span::from_millis(step.as_millis().max(1));
        let ring = self.rings.get(key)?;
        let ((first, _), (latest, _)) = (ring.first()?, ring.latest()?);
        let end = now.floor(step);
        let last = if latest < end { latest.floor(step) } else { end.before(step) };
        let complete = mean(ring.between(last, last + step));
        let (at, value) = match complete {
            Some(found) => found,
            None => mean(ring.between(end, latest + Span::from_millis(1)))?,
        };
        let spanned = slots(first.floor(step), latest, step).saturating_add(1);
        Some(Level { at, value, steps: spanned.min(ring.len()) })
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
    }

    /// Drops all series of a service.
    pub fn forget(&mut self, service: &Name) {
        self.rings.retain(|key, _| key.service != *service);
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

/// The mean of these points, and the time of the newest.
fn mean(points: impl Iterator<Item = (Timestamp, f64)>) -> Option<(Timestamp, f64)> {
    let mut found = None;
    for (count, (at, value)) in points.enumerate() {
        let (_, mean) = found.unwrap_or((at, value));
        found = Some((at, mean + (value - mean) / (count as f64 + 1.0)));
    }
    found
}

/// Returns the number of whole steps between two times.
fn slots(start: Timestamp, end: Timestamp, step: Span) -> usize {
    let whole = end.since(start).as_millis().checked_div(step.as_millis()).unwrap_or(0);
    usize::try_from(whole).unwrap_or(usize::MAX)
}

impl SeriesKey {
    /// Returns the key of a whole service's requests per second.
    #[must_use]
    pub fn load(service: Name) -> Self {
        Self { service, metric: DEFAULT_METRIC.to_owned(), instance: None }
    }

    /// Returns the key of a whole service's load: the metric is the resource that the load is measured in.
    #[must_use]
    pub fn load_of(service: &Service) -> Self {
        let metric = service.load_resource().as_str().to_owned();
        Self { service: service.name.clone(), metric, instance: None }
    }

    /// Returns the series of a sample.
    #[must_use]
    pub fn of(sample: &Sample) -> Self {
        Self {
            service: sample.service.clone(),
            metric: sample.metric.clone(),
            instance: sample.instance.clone(),
        }
    }
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
