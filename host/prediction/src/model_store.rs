//! Stores fitted models.

use std::collections::{BTreeMap, BTreeSet};

use haggle_control::EventKind;
use haggle_model::Name;
use haggle_sandbox::Digest;
use serde_json::json;

use crate::{
    forecasting::{ForecastJob, Member},
    models::{Model, ModelError, ModelKey, ModelOf, StoredModel},
};

impl ForecastJob {
    /// Stores the fitted models in place of the earlier ones, and deletes shared models that nothing refers
    /// to any more. Models of a fallback, and models that the store refuses, are fitted again after a
    /// restart.
    pub(crate) fn keep(&self, before: &[Option<Model>]) {
        let Some(wanted) = self.who.as_ref().map(|who| who.digest) else { return };
        let inner = &self.busy.inner;
        let fitted: Vec<(&Member, &Model)> = self
            .members
            .iter()
            .filter_map(|member| Some((member, member.model.as_ref()?)))
            .filter(|(_, model)| model.fitted_at == self.now && model.component == wanted)
            .collect();
        let mut put: BTreeMap<ModelKey, Result<(), ModelError>> = BTreeMap::new();
        let mut failed = Vec::new();
        for (member, model) in fitted {
            let Some(bytes) = &model.bytes else { continue };
            let (fitted_at, lookback) = (model.fitted_at, model.lookback);
            let mut result = Ok(());
            if let (Some(shared), Some(key)) = (&model.shared, model.shared_key()) {
                let kept = put.entry(key).or_insert_with_key(|key| {
                    let bytes = shared.bytes.as_ref().clone();
                    let stored = StoredModel { fitted_at, bytes, shared: None, lookback: None };
                    inner.models.put(key, stored)
                });
                result = kept.clone();
            }
            let shared = model.shared.as_ref().map(|shared| shared.digest);
            let stored = StoredModel { fitted_at, bytes: bytes.as_ref().clone(), shared, lookback };
            let key = ModelKey::service(wanted, &member.service.name);
            // Without its shared part, the model would be unreadable.
            if let Err(error) = result.and_then(|()| inner.models.put(&key, stored)) {
                inner.delete(&key);
                failed.push((&member.service.name, error));
            }
        }
        if let Some((_, error)) = failed.first() {
            let plugin = &self.policy.forecasting.plugin;
            let services: Vec<&Name> = failed.iter().map(|(name, _)| *name).collect();
            let message = format!(
                "{} models of plugin {plugin} are not kept and are fitted again after a restart: {error}",
                failed.len()
            );
            let detail = json!({ "services": services });
            inner.observer.event(EventKind::Alert, plugin.as_str(), message, detail);
        }
        self.delete_unused(before, &put.into_keys().collect());
    }

    /// Deletes the shared models that the earlier models used and no model uses any more. The members of a
    /// panel change over time, so other services may still use a shared model.
    fn delete_unused(&self, before: &[Option<Model>], put: &BTreeSet<ModelKey>) {
        let before: BTreeSet<ModelKey> =
            before.iter().flatten().filter_map(Model::shared_key).collect();
        let mut unused: BTreeSet<&ModelKey> = before.difference(put).collect();
        if unused.is_empty() {
            return;
        }
        let inner = &self.busy.inner;
        let state = inner.state();
        let models = state.services.values().filter_map(|entry| entry.model.as_ref());
        for key in models.filter_map(Model::shared_key) {
            unused.remove(&key);
        }
        drop(state);
        // A different generation may need its models after a rollback.
        let ours: Option<Digest> = self.who.as_ref().map(|who| who.digest);
        let unused = unused
            .into_iter()
            .filter(|key| Some(key.component) == ours && matches!(key.of, ModelOf::Shared(_)));
        unused.for_each(|key| inner.delete(key));
    }
}
