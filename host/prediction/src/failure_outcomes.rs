//! The learning of failures: assessments, and their outcomes.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use haggle_model::{Name, Span, Timestamp};
use haggle_sandbox::{
    Digest,
    failure_prediction::{self as failure, Vitals},
};

/// Maximum number of assessments whose outcome is unknown.
const PENDING: usize = 100_000;

/// Minimum number of examples in a learning batch.
const LESSON: usize = 32;

/// Maximum number of failures per instance, and of instances with failures, to remember.
const REPORTS: usize = 1000;
const REPORTED: usize = 100_000;

/// Maximum size of failure models in memory over all policies, in bytes. Others are read from the store when
/// needed.
const MOST_LEARNT: usize = 256 << 20;

/// Pending and learned failure data.
#[derive(Debug, Default)]
pub(crate) struct Lessons {
    /// The failure times of each (service, instance).
    reported: BTreeMap<(Name, String), VecDeque<Timestamp>>,
    pub(crate) pending: VecDeque<Pending>,
    /// By policy and component; `None` if nothing was learned or stored. Not all models fit.
    pub(crate) models: BTreeMap<(Name, Digest), Option<Arc<Vec<u8>>>>,
    /// The policies that a job is working on.
    pub(crate) busy: BTreeSet<Name>,
    /// The services of each policy that were last assessed.
    pub(crate) assessed: BTreeMap<Name, BTreeSet<Name>>,
}

/// An assessment whose outcome is unknown.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) service: Name,
    pub(crate) policy: Name,
    /// When the outcome is known.
    pub(crate) due: Timestamp,
    pub(crate) vitals: Vitals,
}

/// The end of the last step of these vitals.
pub(crate) const fn end(vitals: &Vitals) -> Timestamp {
    Timestamp::from_millis(vitals.last_at_ms.saturating_add(vitals.step_ms))
}

impl Lessons {
    /// Records the failure of an instance, or of the service itself if `instance` is `None`.
    pub(crate) fn report(&mut self, service: &Name, instance: Option<String>, at: Timestamp) {
        let instance = instance.unwrap_or_else(|| service.to_string());
        let key = (service.clone(), instance);
        if self.reported.len() >= REPORTED && !self.reported.contains_key(&key) {
            tracing::warn!(%service, "too many instances have failed: another one is not learnt from");
            return;
        }
        let times = self.reported.entry(key).or_default();
        times.push_back(at);
        if times.len() > REPORTS {
            times.pop_front();
        }
    }

    /// Drops reports from before all pending assessments.
    pub(crate) fn forget_reports(&mut self, now: Timestamp) {
        let oldest = self.pending.iter().map(|pending| end(&pending.vitals));
        // A step that has begun may still be assessed.
        let oldest = oldest.min().unwrap_or(now).min(now.before(Span::from_mins(24 * 60)));
        self.reported.retain(|_, times| times.back().is_some_and(|last| *last >= oldest));
    }

    fn failed(&self, pending: &Pending) -> bool {
        let key = (pending.service.clone(), pending.vitals.instance.clone());
        let seen = end(&pending.vitals);
        let within = |at: &Timestamp| seen < *at && *at <= pending.due;
        self.reported.get(&key).is_some_and(|times| times.iter().any(within))
    }

    /// Keeps a model, or that there is none, if there is room. The store also has it.
    pub(crate) fn remember(&mut self, key: (Name, Digest), model: Option<Arc<Vec<u8>>>) {
        self.models.remove(&key);
        let sizes = self.models.values().flatten().map(|model| model.len());
        let taken: usize = sizes.sum();
        if taken + model.as_ref().map_or(0, |model| model.len()) <= MOST_LEARNT {
            self.models.insert(key, model);
        }
    }

    pub(crate) fn wait_for(&mut self, pending: Pending) {
        if self.pending.len() < PENDING {
            self.pending.push_back(pending);
        }
    }

    /// Takes the examples of a policy whose outcome is known.
    pub(crate) fn lesson(&mut self, policy: &Name, now: Timestamp) -> Vec<failure::Example> {
        let known = |pending: &Pending| pending.policy == *policy && pending.due <= now;
        if self.pending.iter().filter(|pending| known(pending)).count() < LESSON {
            return Vec::new();
        }
        let (learnt, waiting): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.pending).into_iter().partition(known);
        self.pending = waiting;
        learnt
            .into_iter()
            .map(|pending| failure::Example {
                failed: self.failed(&pending),
                vitals: pending.vitals,
            })
            .collect()
    }
}
