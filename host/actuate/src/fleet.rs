use std::collections::BTreeMap;

use haggle_model::{Span, Timestamp};

use crate::ReplicaStatus;

/// The replicas of one service over time.
///
/// Events at the same time happen in this order: replicas become ready, replicas fail, an order is carried
/// out.
#[derive(Debug)]
pub(crate) struct Fleet {
    startup: Span,
    clock: Timestamp,
    ready: u32,
    starting: u32,
    /// When the starting replicas become ready, with their number.
    due: BTreeMap<Timestamp, u32>,
    /// When replicas fail, with their number.
    failures: BTreeMap<Timestamp, u32>,
}

impl Fleet {
    pub(crate) fn new(now: Timestamp, startup: Span, ready: u32) -> Self {
        let (due, failures) = (BTreeMap::new(), BTreeMap::new());
        Self { startup, clock: now, ready, starting: 0, due, failures }
    }

    pub(crate) fn clock(&self) -> Timestamp {
        self.clock
    }

    /// Sets the startup time of replicas that start from now on.
    pub(crate) fn set_startup(&mut self, startup: Span) {
        self.startup = startup;
    }

    pub(crate) fn status(&self) -> ReplicaStatus {
        let Self { ready, starting, .. } = *self;
        ReplicaStatus { desired: starting + ready, starting, ready }
    }

    /// Returns the time of the next scheduled event.
    pub(crate) fn next_event(&self) -> Option<Timestamp> {
        let next = |events: &BTreeMap<Timestamp, u32>| events.keys().next().copied();
        next(&self.due).into_iter().chain(next(&self.failures)).min()
    }

    /// Follows a clock that was set back to `now`, so that scheduled events keep their remaining time.
    pub(crate) fn rewind(&mut self, now: Timestamp) {
        let back = self.clock.since(now);
        let earlier = |events: &mut BTreeMap<Timestamp, u32>| {
            *events =
                std::mem::take(events).into_iter().map(|(at, n)| (at.before(back), n)).collect();
        };
        earlier(&mut self.due);
        earlier(&mut self.failures);
        self.clock = now;
    }

    /// Advances the time to `now`; does nothing if that is in the past.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        while let Some(at) = self.next_event().filter(|at| *at <= now) {
            self.clock = self.clock.max(at);
            self.settle(at);
            for _ in 0..self.failures.remove(&at).unwrap_or(0) {
                self.fail(at);
            }
            // A startup that takes no time ends at the same moment.
            self.settle(at);
        }
        self.clock = self.clock.max(now);
    }

    /// Scales the fleet to `replicas`. New ones start now. Removals take effect at once: the most recently
    /// started ones first, then ready ones.
    pub(crate) fn resize(&mut self, now: Timestamp, replicas: u32) {
        let desired = self.starting + self.ready;
        if replicas > desired {
            self.start(now, replicas - desired);
            self.settle(now);
            return;
        }
        let mut surplus = desired - replicas;
        while surplus > 0
            && let Some(mut last) = self.due.last_entry()
        {
            let gone = surplus.min(*last.get());
            surplus -= gone;
            self.starting -= gone;
            *last.get_mut() -= gone;
            if *last.get() == 0 {
                last.remove();
            }
        }
        self.ready -= surplus;
    }

    /// Schedules the failure of a replica at `at`, or now if that is in the past.
    pub(crate) fn schedule_failure(&mut self, at: Timestamp) {
        *self.failures.entry(at.max(self.clock)).or_insert(0) += 1;
    }

    /// Fails a ready replica, or the most recently started one if none is ready; a replacement starts.
    fn fail(&mut self, at: Timestamp) {
        if self.ready > 0 {
            self.ready -= 1;
        } else if let Some(mut last) = self.due.last_entry() {
            self.starting -= 1;
            *last.get_mut() -= 1;
            if *last.get() == 0 {
                last.remove();
            }
        } else {
            return;
        }
        self.start(at, 1);
    }

    fn start(&mut self, at: Timestamp, count: u32) {
        *self.due.entry(at + self.startup).or_insert(0) += count;
        self.starting += count;
    }

    /// Makes replicas ready whose startup has ended.
    fn settle(&mut self, at: Timestamp) {
        while let Some(first) = self.due.first_entry().filter(|first| *first.key() <= at) {
            let count = first.remove();
            self.starting -= count;
            self.ready += count;
        }
    }
}
