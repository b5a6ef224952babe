//! When tiers are due.

use std::collections::{BTreeMap, BTreeSet};

use haggle_model::{Name, ScalingPolicy, Timestamp};

/// When tiers were assigned, and where they are being assigned.
#[derive(Debug, Default)]
pub(crate) struct Periods {
    /// By policy: when its services were last due.
    pub(crate) last: BTreeMap<Name, Timestamp>,
    /// The plugins that assign tiers now.
    pub(crate) busy: BTreeSet<Name>,
}

impl Periods {
    /// Whether a multiple of the policy's period has begun since its services were due last. The first one
    /// after a start is waited for.
    pub(crate) fn is_due(&mut self, policy: &ScalingPolicy, now: Timestamp) -> bool {
        let every = policy.tiering.every;
        let last = *self.last.entry(policy.name.clone()).or_insert_with(|| {
            // A pass at the very beginning of a period is one that is due.
            Timestamp::from_millis(now.as_millis().saturating_sub(1))
        });
        let is_due = every.is_zero() || now.floor(every) > last.floor(every);
        if is_due {
            self.last.insert(policy.name.clone(), now);
        }
        is_due
    }
}
