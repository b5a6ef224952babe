//! The state shared by all jobs.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use haggle_model::Name;
use haggle_plan::{Accuracy, Outlook};
use haggle_plugins::Observer;
use haggle_sandbox::Digest;

use crate::{
    failure_outcomes::Lessons,
    history::ReadHistory,
    memory::Memory,
    models::{Model, ModelKey, ModelStore},
    periods::Periods,
    policies::Policies,
};

pub(crate) struct SharedState {
    pub(crate) policies: Arc<dyn Policies>,
    pub(crate) history: Arc<dyn ReadHistory>,
    pub(crate) models: Arc<dyn ModelStore>,
    pub(crate) observer: Arc<dyn Observer>,
    /// Locked only briefly: never during a call, or while using the history or the store.
    state: Mutex<State>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) services: BTreeMap<Name, Entry>,
    /// The memory used by the models of these services.
    pub(crate) memory: Memory,
    /// Number of series being fitted.
    pub(crate) fitting: usize,
    pub(crate) failures: Lessons,
    pub(crate) tiering: Periods,
}

/// The forecasting state of one service.
#[derive(Default)]
pub(crate) struct Entry {
    pub(crate) model: Option<Model>,
    /// The component whose model was last looked up in the store.
    pub(crate) looked_up: Option<Digest>,
    pub(crate) accuracy: Accuracy,
    /// The latest forecast.
    pub(crate) outlook: Option<Arc<Outlook>>,
    /// Whether a job is working on the service.
    pub(crate) is_busy: bool,
    /// Whether the service is known to have no measured load.
    pub(crate) is_unmeasured: bool,
}

impl SharedState {
    /// Creates the initial state; models are read from the store when needed.
    pub(crate) fn new(
        policies: Arc<dyn Policies>,
        history: Arc<dyn ReadHistory>,
        models: Arc<dyn ModelStore>,
        observer: Arc<dyn Observer>,
    ) -> Self {
        Self { policies, history, models, observer, state: Mutex::default() }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Deletes a model. If that fails, the next sweep finds it.
    pub(crate) fn delete(&self, key: &ModelKey) {
        if let Err(error) = self.models.delete(key) {
            tracing::warn!(model = %key.of, %error, "a model is not deleted");
        }
    }
}
