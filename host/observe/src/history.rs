use std::collections::{BTreeMap, BTreeSet};

use haggle_model::{Name, Series, Service, Span, Timestamp};

use crate::{DEFAULT_METRIC, FailureReport, Sample, SampleError, ring::Ring};

/// The recent samples of every series, in memory and bounded.
///
/// Samples come at any times, late, twice and out of order: of the same time the last one counts, what
/// is older than the history keeps is dropped, and what lies in the future is refused.
#[derive(Debug)]
pub struct History {
    limits: HistoryLimits,
    rings: BTreeMap<SeriesKey, Ring>,
}

/// What a history keeps. Full, it takes at most `series × points × 20` bytes and the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryLimits {
    /// How far back.
    pub keep: Span,
    /// The most points of a series; the oldest go first.
    pub points: usize,
    /// The most series.
    pub series: usize,
    /// How far ahead of the host's clock a sample's may be.
    pub ahead: Span,
}

/// Names a series.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesKey {
    /// The service.
    pub service: Name,
    /// The metric.
    pub metric: String,
    /// The replica, container or machine; the whole service if none.
    pub instance: Option<String>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// How many are kept.
    pub stored: usize,
    /// How many came too late to be kept.
    pub stale: usize,
}

/// Why a batch is refused. Then none of it is kept.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// A sample or a failure is not valid.
    #[error(transparent)]
    Invalid(#[from] SampleError),
    /// A sample or a failure of the future.
    #[error(
        "{what} {index}: time is {time}, more than {ahead} after {now}: set the clock of its source, or leave the time out"
    )]
    Future {
        /// "sample" or "failure".
        what: &'static str,
        /// Which of the batch, from 0.
        index: usize,
        /// Its time.
        time: Timestamp,
        /// The host's time.
        now: Timestamp,
        /// How far ahead it may be.
        ahead: Span,
    },
    /// More series than the history keeps.
    #[error(
        "sample {index}: there are {limit} series already, the most that are kept: send fewer instances or metrics, or raise the limit"
    )]
    TooManySeries {
        /// Which of the batch, from 0.
        index: usize,
        /// The limit.
        limit: usize,
    },
}

impl History {
    /// An empty history.
    #[must_use]
    pub fn new(limits: HistoryLimits) -> Self {
        Self { limits, rings: BTreeMap::new() }
    }

    /// Keeps at least so far back from now on, and as many more points as that takes.
    pub fn reach(&mut self, back: Span) {
        self.limits = self.limits.reaching(back);
    }

    /// How far back it keeps.
    #[must_use]
    pub const fn keep(&self) -> Span {
        self.limits.keep
    }

    /// Whether it still takes in samples of that time; earlier ones are too old for every policy, and need not be
    /// kept anywhere.
    #[must_use]
    pub fn takes(&self, now: Timestamp, time: Timestamp) -> bool {
        time >= now.before(self.limits.keep)
    }

    /// Keeps one sample; see [`History::push_all`].
    ///
    /// # Errors
    /// [`PushError`], with 0 as the index.
    pub fn push(&mut self, now: Timestamp, sample: &Sample) -> Result<Accepted, PushError> {
        self.push_all(now, std::slice::from_ref(sample))
    }

    /// Keeps a batch of samples, all or none. Those that come too late to be kept are not an error, for
    /// whoever sends them again would fail for ever: they are counted.
    ///
    /// # Errors
    /// [`PushError`] naming the sample and the field.
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

    /// Whether [`History::push_all`] would take the batch, which changes nothing yet.
    ///
    /// # Errors
    /// [`PushError`] naming the sample and the field.
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

    /// Whether a batch of failures can be taken: what they say of instances and times is held to the same
    /// rules as samples. Which of them are not too old to be kept, [`History::takes`] says.
    ///
    /// # Errors
    /// [`PushError`] naming the failure and the field.
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

    /// The time of something that came now, which does not lie in the future.
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

    /// The series as a policy sees it: the last `length` whole steps before `now`, each the mean of the
    /// samples that fall into it, NaN where there are none. Steps begin at multiples of `step` since the
    /// epoch; the one that `now` falls into is not over yet and left out. The steps before the first
    /// known value are left out too, so the series may be shorter, or empty.
    #[must_use]
    pub fn series(&self, key: &SeriesKey, now: Timestamp, step: Span, length: usize) -> Series {
        let step = Span::from_millis(step.as_millis().max(1));
        let end = now.floor(step);
        let reach = Span::from_millis(step.as_millis().saturating_mul(length as u64));
        let earliest = end.before(reach).floor(step);
        let mut start = end;
        let mut values: Vec<f64> = Vec::new();
        // When the last of them is over, and how many samples it is the mean of.
        let (mut over, mut count) = (end, 0.0);
        let points = self.rings.get(key).into_iter().flat_map(|ring| ring.between(earliest, end));
        for (time, value) in points {
            if values.is_empty() {
                start = time.floor(step);
                over = start;
                values.reserve_exact(slots(start, end, step));
            }
            if time >= over {
                // Most often the very next step: no need to divide.
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

    /// The newest sample of a series.
    #[must_use]
    pub fn latest(&self, key: &SeriesKey) -> Option<(Timestamp, f64)> {
        self.rings.get(key)?.latest()
    }

    /// Every series there is, by service, metric and instance.
    pub fn keys(&self) -> impl Iterator<Item = &SeriesKey> {
        self.rings.keys()
    }

    /// The series of one service.
    pub fn keys_of(&self, service: &Name) -> impl Iterator<Item = &SeriesKey> {
        let first = SeriesKey { service: service.clone(), metric: String::new(), instance: None };
        self.rings
            .range(first..)
            .map(|(key, _)| key)
            .take_while(move |key| key.service.as_str() == service.as_str())
    }

    /// How many points there are in all.
    #[must_use]
    pub fn points(&self) -> usize {
        self.rings.values().map(Ring::len).sum()
    }

    /// Drops what is older than the history keeps, and series that have nothing left.
    pub fn prune(&mut self, now: Timestamp) {
        let oldest = now.before(self.limits.keep);
        self.rings.retain(|_, ring| {
            ring.prune(oldest);
            ring.len() > 0
        });
    }

    /// Drops every series of a service.
    pub fn forget(&mut self, service: &Name) {
        self.rings.retain(|key, _| key.service != *service);
    }
}

impl HistoryLimits {
    /// The most points of a series, however far back it reaches.
    pub const MOST_POINTS: usize = 100_000;

    /// Limits that reach at least so far back, with as many points for the same time: at most
    /// [`HistoryLimits::MOST_POINTS`], or what there were.
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

/// How many whole steps lie between two times.
fn slots(start: Timestamp, end: Timestamp, step: Span) -> usize {
    let whole = end.since(start).as_millis().checked_div(step.as_millis()).unwrap_or(0);
    usize::try_from(whole).unwrap_or(usize::MAX)
}

impl SeriesKey {
    /// The requests per second of a service as a whole.
    #[must_use]
    pub fn load(service: Name) -> Self {
        Self { service, metric: DEFAULT_METRIC.to_owned(), instance: None }
    }

    /// The load of a service as a whole: its metric is the resource by which that is counted.
    #[must_use]
    pub fn load_of(service: &Service) -> Self {
        let metric = service.load_resource().as_str().to_owned();
        Self { service: service.name.clone(), metric, instance: None }
    }

    /// The series that a sample belongs to.
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
    /// A day and an hour, 10,000 points a series, 200,000 series, and a minute of clock skew.
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
