//! What all jobs share.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use haggle_model::Name;
use haggle_plan::{Accuracy, Outlook};
use haggle_plugins::Observer;
use haggle_sandbox::Digest;

use crate::{
    history::ReadHistory,
    lessons::Lessons,
    memory::Memory,
    models::{Model, ModelKey, ModelStore},
    periods::Periods,
    policies::Policies,
};

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
    pub(crate) failures: Lessons,
    pub(crate) tiering: Periods,
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

impl Inner {
    /// Nothing learnt but what is stored.
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

    /// A model that cannot be deleted is found by the next sweep.
    pub(crate) fn delete(&self, key: &ModelKey) {
        if let Err(error) = self.models.delete(key) {
            tracing::warn!(model = %key.of, %error, "a model is not deleted");
        }
    }
}
