use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use haggle_control::State as Snapshot;
use haggle_model::{Name, Timestamp};
use haggle_plan::{Accuracy, Outlook};
use haggle_plugins::Observer;
use haggle_sandbox::Digest;

use crate::{
    failures::Failures,
    history::ReadHistory,
    job::Job,
    memory::Memory,
    models::{Model, ModelKey, ModelOf, ModelStore},
    planning,
    policies::Policies,
    tiering::Tiering,
};

/// What the host has learnt, and what of it is to be learnt or predicted next.
#[derive(Clone)]
pub struct Prediction(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) policies: Arc<dyn Policies>,
    pub(crate) history: Arc<dyn ReadHistory>,
    pub(crate) models: Arc<dyn ModelStore>,
    pub(crate) observer: Arc<dyn Observer>,
    /// Held for moments only: never over a call, the history or the store.
    state: Mutex<State>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) services: BTreeMap<Name, Entry>,
    /// What the models of these services take.
    pub(crate) memory: Memory,
    /// How many series are being fitted.
    pub(crate) fitting: usize,
    pub(crate) failures: Failures,
    pub(crate) tiering: Tiering,
}

/// What is known of the forecasts of one service.
#[derive(Default)]
pub(crate) struct Entry {
    pub(crate) model: Option<Model>,
    /// The component whose model was last looked up in the store.
    pub(crate) looked_up: Option<Digest>,
    pub(crate) accuracy: Accuracy,
    /// The latest forecast.
    pub(crate) outlook: Option<Arc<Outlook>>,
    /// A job works on it.
    pub(crate) is_busy: bool,
    /// It is known to be without a measured load.
    pub(crate) is_unmeasured: bool,
}

impl Prediction {
    /// Nothing learnt but what is stored.
    #[must_use]
    pub fn new(
        policies: Arc<dyn Policies>,
        history: Arc<dyn ReadHistory>,
        models: Arc<dyn ModelStore>,
        observer: Arc<dyn Observer>,
    ) -> Self {
        let state = Mutex::default();
        Self(Arc::new(Inner { policies, history, models, observer, state }))
    }

    /// The same with less room for models.
    #[cfg(test)]
    pub(crate) fn with_room(self, bytes: usize) -> Self {
        self.0.state().memory = Memory::new(bytes);
        self
    }

    /// The work of a pass, in an order that the arguments determine: forecasts, then failures, then tiers. The
    /// jobs are independent of one another. What is still being worked on is left out.
    #[must_use]
    pub fn jobs(&self, snapshot: &Arc<Snapshot>, now: Timestamp) -> Vec<Job> {
        let inner = &self.0;
        let mut jobs = planning::forecasts(inner, snapshot, now);
        jobs.extend(Failures::jobs(inner, snapshot, now).into_iter().map(Job::failures));
        jobs.extend(Tiering::jobs(inner, snapshot, now).into_iter().map(Job::tiers));
        jobs
    }

    /// Notes that an instance of a service failed; the service itself where none is named.
    pub fn report_failure(&self, service: &Name, instance: Option<String>, at: Timestamp) {
        self.0.state().failures.report(service, instance, at);
    }

    /// Deletes stored models of components that neither decide nor did before, of services that are gone, and
    /// what models shared that are gone. Called at times, as after a start.
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

impl Inner {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A model that cannot be deleted is found by the next sweep.
    pub(crate) fn delete(&self, key: &ModelKey) {
        if let Err(error) = self.models.delete(key) {
            tracing::warn!(model = %key.of, %error, "a model is not deleted");
        }
    }
}

impl fmt::Debug for Prediction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let services = self.0.state().services.len();
        f.debug_struct("Prediction").field("services", &services).finish_non_exhaustive()
    }
}
