use std::collections::VecDeque;

use haggle_model::{Span, Timestamp};

use super::HpaSettings;

/// A limit on how fast the number of replicas changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// The maximum change.
    pub change: Change,
    /// The period over which the change is limited.
    pub period: Span,
}

/// A change in the number of replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A number of pods.
    Pods(u32),
    /// A percentage of the replicas at the start of the period.
    Percent(u32),
}

/// The history needed to stabilise recommendations and limit the rate of change.
#[derive(Debug, Default)]
pub(super) struct Behavior {
    /// The recommendations within the stabilisation time.
    recommended: VecDeque<(Timestamp, u32)>,
    /// The changes of the number of replicas, with their times, within the longest period of the limits.
    changes: VecDeque<(Timestamp, i64)>,
}

impl Behavior {
    /// Turns the number of replicas that the metric wants into the one to order: stabilised, rate-limited,
    /// and within bounds (min, max).
    pub(super) fn normalized(
        &mut self,
        now: Timestamp,
        settings: &HpaSettings,
        current: u32,
        wanted: u32,
        (min, max): (u32, u32),
    ) -> u32 {
        let stable = self.stabilized(now, settings.stabilization, current, wanted);
        self.forget_changes(now, settings);
        if stable > current {
            let limits = settings.scale_up.iter();
            let limit = limits.map(|limit| self.limited(now, current, *limit, true)).max();
            stable.min(limit.unwrap_or(current).max(current)).min(max)
        } else if stable < current {
            let limits = settings.scale_down.iter();
            let limit = limits.map(|limit| self.limited(now, current, *limit, false)).min();
            stable.max(limit.unwrap_or(current).min(current)).max(min)
        } else {
            current
        }
    }

    /// Records a change.
    pub(super) fn scaled(&mut self, now: Timestamp, from: u32, to: u32) {
        self.changes.push_back((now, i64::from(to) - i64::from(from)));
    }

    /// Scales out at once, and in only to the highest recommendation within `window`. The number of
    /// replicas at the first call counts as a recommendation.
    fn stabilized(&mut self, now: Timestamp, window: Span, current: u32, wanted: u32) -> u32 {
        if self.recommended.is_empty() {
            self.recommended.push_back((now, current));
        }
        while self.recommended.front().is_some_and(|(at, _)| *at + window <= now) {
            self.recommended.pop_front();
        }
        let highest = self.recommended.iter().map(|(_, recommended)| *recommended).max();
        self.recommended.push_back((now, wanted));
        current.clamp(wanted, highest.unwrap_or(wanted).max(wanted))
    }

    /// The number of replicas that one limit allows, relative to the number at the start of its period.
    fn limited(&self, now: Timestamp, current: u32, limit: RateLimit, up: bool) -> u32 {
        let since = self.changes.iter().filter(|(at, _)| *at + limit.period > now);
        let changed: i64 = since.map(|(_, change)| change).sum();
        let base = (i64::from(current) - changed).max(0);
        let reached = match limit.change {
            Change::Pods(count) if up => base.saturating_add(count.into()),
            Change::Pods(count) => base.saturating_sub(count.into()),
            Change::Percent(share) if up => {
                base.saturating_add(base.saturating_mul(share.into()).saturating_add(99) / 100)
            }
            // The remainder is rounded down, so the reduction is rounded up.
            Change::Percent(share) => base.saturating_mul(100 - i64::from(share.min(100))) / 100,
        };
        u32::try_from(reached.max(0)).unwrap_or(u32::MAX)
    }

    fn forget_changes(&mut self, now: Timestamp, settings: &HpaSettings) {
        let limits = settings.scale_up.iter().chain(&settings.scale_down);
        let longest = limits.map(|limit| limit.period).max().unwrap_or_default();
        while self.changes.front().is_some_and(|(at, _)| *at + longest <= now) {
            self.changes.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use haggle_model::{Span, Timestamp};

    use super::{Behavior, Change, RateLimit};
    use crate::HpaSettings;

    /// Applies recommendations every 15 s and carries each out. Returns the numbers of replicas.
    fn course(settings: &HpaSettings, first: u32, wanted: &[u32]) -> Vec<u32> {
        let mut behavior = Behavior::default();
        let mut current = first;
        let mut course = Vec::new();
        for (sync, wanted) in wanted.iter().enumerate() {
            let now = Timestamp::from_millis(sync as u64 * 15_000);
            let next = behavior.normalized(now, settings, current, *wanted, (1, 100));
            if next != current {
                behavior.scaled(now, current, next);
            }
            current = next;
            course.push(current);
        }
        course
    }

    #[test]
    fn doubles_or_adds_four_at_a_time() {
        let settings = HpaSettings::default();
        assert_eq!(course(&settings, 1, &[90; 6]), [5, 10, 20, 40, 80, 90]);
        assert_eq!(course(&settings, 80, &[500; 2]), [100, 100]);
    }

    #[test]
    fn scales_in_to_the_highest_of_five_minutes() {
        let settings = HpaSettings::default();
        let mut wanted = vec![10, 3];
        wanted.extend([2; 40]);
        let course = course(&settings, 10, &wanted);
        // The recommendation of the first sync expires 300 s later, that of the second 15 s after it.
        let drops: Vec<_> = (1..course.len()).filter(|i| course[*i] != course[i - 1]).collect();
        assert_eq!((drops, course[20], course[21]), (vec![20, 21], 3, 2));
    }

    #[test]
    fn limits_count_from_the_beginning_of_their_period() {
        let minute = Span::from_secs(60);
        let settings = HpaSettings {
            stabilization: Span::ZERO,
            scale_up: vec![RateLimit { change: Change::Pods(2), period: minute }],
            scale_down: vec![RateLimit { change: Change::Percent(30), period: minute }],
            ..HpaSettings::default()
        };
        assert_eq!(course(&settings, 10, &[90; 9]), [12, 12, 12, 12, 14, 14, 14, 14, 16]);
        assert_eq!(course(&settings, 10, &[1; 9]), [7, 7, 7, 7, 4, 4, 4, 4, 2]);
        let never = HpaSettings { scale_down: Vec::new(), ..settings };
        assert_eq!(course(&never, 10, &[1; 3]), [10; 3]);
    }
}
