use haggle_model::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::SeriesKey;

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Accepted {
    /// The number of items that were stored.
    pub stored: usize,
    /// The number of items that were too old to store.
    pub stale: usize,
    /// The number of items that were not stored because their time lies too far ahead of the host's clock.
    pub ahead: usize,
    /// The first items that were not stored, at most [`Accepted::MOST_LISTED`].
    pub left_out: Vec<LeftOut>,
    /// Series that look like counters, although a load is a level or a rate. At most
    /// [`Accepted::MOST_LISTED`].
    pub counters: Vec<CounterSeries>,
}

/// An item of a batch that was not stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LeftOut {
    /// `sample` or `failure`.
    pub item: String,
    /// The position among the samples or failures of the batch, from 0.
    pub index: usize,
    /// Why it was not stored, with the difference between the clocks.
    pub reason: String,
}

/// A series of samples that looks like a counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterSeries {
    /// The series.
    pub key: SeriesKey,
    /// Whether an earlier batch did not report it yet.
    pub is_new: bool,
}

/// Why the time of an item is outside of the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outside {
    /// It is older than the history.
    Stale,
    /// It is too far ahead of the clock.
    Ahead,
}

impl Accepted {
    /// The maximum number of items and of series that are listed.
    pub const MOST_LISTED: usize = 20;

    /// Adds what became of other items of the same batch.
    pub fn add(&mut self, other: Self) {
        self.stored += other.stored;
        self.stale += other.stale;
        self.ahead += other.ahead;
        self.left_out.extend(other.left_out);
        self.left_out.truncate(Self::MOST_LISTED);
        self.counters.extend(other.counters);
        self.counters.truncate(Self::MOST_LISTED);
    }

    /// Counts an item that is not stored, and lists it if it is among the first.
    pub(crate) fn leave_out(&mut self, outside: Outside, left_out: impl FnOnce() -> LeftOut) {
        match outside {
            Outside::Stale => self.stale += 1,
            Outside::Ahead => self.ahead += 1,
        }
        if self.left_out.len() < Self::MOST_LISTED {
            self.left_out.push(left_out());
        }
    }
}

impl CounterSeries {
    /// What is wrong with the series, and how to mend it.
    #[must_use]
    pub fn complaint(&self) -> String {
        let SeriesKey { service, metric, instance } = &self.key;
        let instance = instance.as_ref().map_or_else(String::new, |name| format!(" of {name}"));
        format!(
            "service {service}: {metric}{instance} only grows, except where it begins again near zero: it looks like a counter; send its rate per second instead"
        )
    }
}

impl LeftOut {
    pub(crate) fn new(
        item: &str,
        index: usize,
        outside: Outside,
        (time, now): (Timestamp, Timestamp),
        limit: Span,
    ) -> Self {
        let reason = match outside {
            Outside::Stale => format!(
                "its time {time} is {} before the host's clock ({now}), and samples are kept for {limit}",
                now.since(time)
            ),
            Outside::Ahead => format!(
                "its time {time} is {} ahead of the host's clock ({now}), and at most {limit} is taken: set the clock of its source, or leave the time out",
                time.since(now)
            ),
        };
        Self { item: item.to_owned(), index, reason }
    }
}
