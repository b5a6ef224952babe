use std::{collections::BTreeSet, fmt, sync::Arc};

use haggle_control::State as Snapshot;
use haggle_model::{Name, Timestamp};
use haggle_plugins::Observer;

use crate::{
    failures,
    history::ReadHistory,
    job::Job,
    models::{ModelKey, ModelOf, ModelStore},
    planning,
    policies::Policies,
    shared_state::SharedState,
    tiering,
};

/// What the host has learned, and the work that is due.
#[derive(Clone)]
pub struct Prediction(Arc<SharedState>);

impl Prediction {
    /// Creates a prediction whose models come from the store.
    #[must_use]
    pub fn new(
        policies: Arc<dyn Policies>,
        history: Arc<dyn ReadHistory>,
        models: Arc<dyn ModelStore>,
        observer: Arc<dyn Observer>,
    ) -> Self {
        Self(Arc::new(SharedState::new(policies, history, models, observer)))
    }

    /// The same, with less room for models.
    #[cfg(test)]
    pub(crate) fn with_room(self, bytes: usize) -> Self {
        self.0.state().memory = crate::memory::Memory::new(bytes);
        self
    }

    /// Creates the jobs of a pass, in a deterministic order: forecasts, then failures, then tiers. The jobs
    /// are independent of one another. Services that a job is still working on are omitted.
    #[must_use]
    pub fn jobs(&self, snapshot: &Arc<Snapshot>, now: Timestamp) -> Vec<Job> {
        let inner = &self.0;
        let mut jobs = planning::forecasts(inner, snapshot, now);
        jobs.extend(failures::jobs(inner, snapshot, now).into_iter().map(Job::failures));
        jobs.extend(tiering::jobs(inner, snapshot, now).into_iter().map(Job::tiers));
        jobs
    }

    /// Records the failure of an instance, or of the service itself if `instance` is `None`.
    pub fn report_failure(&self, service: &Name, instance: Option<String>, at: Timestamp) {
        self.0.state().failures.report(service, instance, at);
    }

    /// Deletes stored models of components that are neither current nor previous, models of deleted services,
    /// and unused shared models. Call it occasionally, for example after a start.
    pub fn sweep(&self, snapshot: &Snapshot) {
        let keys = match self.0.models.keys() {
            Ok(keys) => keys,
            Err(error) => {
                tracing::warn!(%error, "stored models are not tidied up");
                return;
            }
        };
        let known = self.0.policies.known();
        let is_needed = |key: &ModelKey| {
            known.contains(&key.component)
                && match &key.of {
                    ModelOf::Service(service) => snapshot.catalog().service(service).is_ok(),
                    ModelOf::Failures(policy) => snapshot.catalog().policy(policy).is_ok(),
                    ModelOf::Shared(_) => true,
                }
        };
        let shared = keys.iter().filter(|(key, _)| is_needed(key)).filter_map(|(key, shared)| {
            Some(ModelKey { component: key.component, of: ModelOf::Shared((*shared)?) })
        });
        let shared: BTreeSet<ModelKey> = shared.collect();
        for (key, _) in &keys {
            let is_unused = matches!(key.of, ModelOf::Shared(_)) && !shared.contains(key);
            if is_unused || !is_needed(key) {
                self.0.delete(key);
            }
        }
    }
}

impl fmt::Debug for Prediction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let services = self.0.state().services.len();
        f.debug_struct("Prediction").field("services", &services).finish_non_exhaustive()
    }
}
