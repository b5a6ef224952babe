//! Schedules the tier assignments.

use std::collections::{BTreeMap, BTreeSet};

use haggle_model::{Name, ScalingPolicy, Timestamp};

/// The times of the last assignments, and the assignments in progress.
#[derive(Debug, Default)]
pub(crate) struct Periods {
    /// By policy: when its services were last due.
    pub(crate) last: BTreeMap<Name, Timestamp>,
    /// The plugins that are assigning tiers.
    pub(crate) busy: BTreeSet<Name>,
}

impl Periods {
    /// Whether a new period of the policy has begun since its services were last due. After a start, the
    /// first period boundary is awaited.
    pub(crate) fn is_due(&mut self, policy: &ScalingPolicy, now: Timestamp) -> bool {
        let every = policy.tiering.every;
        let last = *self.last.entry(policy.name.clone()).or_insert_with(|| {
            // A pass at the exact start of a period is due.
            Timestamp::from_millis(now.as_millis().saturating_sub(1))
        });
        let is_due = every.is_zero() || now.floor(every) > last.floor(every);
        if is_due {
            self.last.insert(policy.name.clone(), now);
        }
        is_due
    }
}
