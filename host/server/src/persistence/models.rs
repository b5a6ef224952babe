//! Fitted models on disk: what was learnt survives a restart.
//!
//! What a panel shares is kept once, by its digest, and each model of a service says which it goes with. It
//! is deleted when no model refers to it any more.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use haggle_model::{Name, Span, Timestamp};
use haggle_sandbox::Digest;
use haggle_store::{Batch, FittedModel, Models, Store, StoreError};

use crate::{error::HostError, host::Host};

/// What a plugin has learnt about a service.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    /// Of the plugin that fitted it: another one cannot read it.
    pub(crate) digest: Digest,
    pub(crate) fitted_at: Timestamp,
    /// None where it could not be fitted; it is tried again later.
    pub(crate) bytes: Option<Vec<u8>>,
    /// What the plugin has learnt about the whole panel.
    pub(crate) shared: Option<Shared>,
    /// How many of the values before the fit a forecast looks at; all if none.
    pub(crate) lookback: Option<u32>,
}

/// What the models of a panel share.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    digest: haggle_store::Digest,
    bytes: Arc<Vec<u8>>,
}

/// By the plugin that fitted it and by whom it is for a model is kept.
type Key = (haggle_store::Digest, String);

impl Model {
    /// The plugin cannot go on from it: it is fitted again at once, and not read from the store instead.
    pub(crate) fn outdate(&mut self) {
        self.fitted_at = Timestamp::default();
        self.forget();
    }

    /// The plugin has nothing to go on from, as if it could not be fitted.
    pub(crate) fn forget(&mut self) {
        (self.bytes, self.shared, self.lookback) = (None, None, None);
    }

    /// How many of the latest values a forecast with it needs, where that is known; at least one.
    pub(crate) fn needs(&self, step: Span, now: Timestamp) -> Option<usize> {
        self.bytes.as_ref()?;
        let new = now.floor(step).since(self.fitted_at.floor(step)).steps(step);
        let needed = new.saturating_add(self.lookback?.into());
        Some(usize::try_from(needed).unwrap_or(usize::MAX).max(1))
    }

    /// Whether it is to be fitted again before anything is forecast with it.
    pub(crate) fn is_outdated(&self) -> bool {
        self.fitted_at == Timestamp::default()
    }

    fn shared_key(&self) -> Option<Key> {
        let shared = self.shared.as_ref()?;
        Some(shared_key(stored(&self.digest), &shared.digest))
    }
}

impl Shared {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { digest: haggle_store::Digest::of(&bytes), bytes: Arc::new(bytes) }
    }

    pub(crate) fn to_vec(&self) -> Vec<u8> {
        self.bytes.as_ref().clone()
    }
}

impl PartialEq for Shared {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

/// Models as they are read from the store; what several of them share is read once.
pub(crate) struct StoredModels<'a> {
    store: Option<&'a Store>,
    shared: BTreeMap<Key, Option<Shared>>,
}

impl<'a> StoredModels<'a> {
    pub(crate) fn of(host: &'a Host) -> Self {
        Self { store: host.persistence.store(), shared: BTreeMap::new() }
    }

    /// The model that a plugin has fitted to a service; none where a part of it is missing: the service is
    /// fitted again then.
    pub(crate) fn get(
        &mut self,
        plugin: &Digest,
        service: &Name,
    ) -> Result<Option<Model>, StoreError> {
        let Some(store) = self.store else { return Ok(None) };
        let plugin_digest = stored(plugin);
        let kept = store.get::<Models>(&service_key(plugin_digest, service))?;
        let Some(kept) = kept else { return Ok(None) };
        let FittedModel { fitted_at, model, shared, lookback } = kept;
        let shared = match shared {
            None => None,
            Some(digest) => match self.shared(store, plugin_digest, digest)? {
                None => return Ok(None),
                found => found,
            },
        };
        Ok(Some(Model { digest: *plugin, fitted_at, bytes: Some(model), shared, lookback }))
    }

    fn shared(
        &mut self,
        store: &Store,
        plugin: haggle_store::Digest,
        digest: haggle_store::Digest,
    ) -> Result<Option<Shared>, StoreError> {
        let key = shared_key(plugin, &digest);
        if let Some(found) = self.shared.get(&key) {
            return Ok(found.clone());
        }
        let kept = store.get::<Models>(&key)?;
        let found = kept.map(|kept| Shared { digest, bytes: Arc::new(kept.model) });
        self.shared.insert(key, found.clone());
        Ok(found)
    }
}

impl Host {
    /// Keeps models that were just fitted in place of those before, and deletes what no model refers to any
    /// more. A crash may take that back.
    pub(crate) fn keep_models(&self, fitted: &[(&Name, &Model)]) -> Result<(), HostError> {
        if self.persistence.store().is_none() || fitted.is_empty() {
            return Ok(());
        }
        let known = self.known_plugins();
        let services: BTreeSet<&Name> = fitted.iter().map(|(service, _)| *service).collect();
        let mut batch = Batch::new();
        let (mut used, mut before) = (BTreeSet::new(), BTreeSet::new());
        let states = self.states();
        for (service, model) in fitted {
            let Some(bytes) = model.bytes.clone() else { continue };
            if let Some(old) = states.get(*service).and_then(|state| state.model.as_ref()) {
                before.extend(old.shared_key());
                let plugin = stored(&old.digest);
                if !known.contains(&plugin) {
                    batch.delete::<Models>(&service_key(plugin, service))?;
                }
            }
            let fitted_at = model.fitted_at;
            if let (Some(shared), Some(key)) = (&model.shared, model.shared_key())
                && !used.contains(&key)
            {
                let kept = FittedModel::alone(fitted_at, shared.to_vec());
                put(&mut batch, &key, &kept);
                used.insert(key);
            }
            let shared = model.shared.as_ref().map(|shared| shared.digest);
            let kept = FittedModel { fitted_at, model: bytes, shared, lookback: model.lookback };
            put(&mut batch, &service_key(stored(&model.digest), service), &kept);
        }
        // A panel is not made of the same services for ever: others may still go with what these went with.
        let others = states.iter().filter(|(name, _)| !services.contains(name));
        used.extend(others.filter_map(|(_, state)| state.model.as_ref()?.shared_key()));
        drop(states);
        for unused in before.difference(&used) {
            batch.delete::<Models>(unused)?;
        }
        Ok(self.persistence.commit_lazy(batch)?)
    }

    /// Deletes the models of a service that is gone.
    pub(crate) fn forget_models(
        &self,
        service: &Name,
        batch: &mut Batch,
    ) -> Result<(), StoreError> {
        for plugin in self.known_plugins() {
            batch.delete::<Models>(&service_key(plugin, service))?;
        }
        Ok(())
    }

    /// Deletes the models of plugins that neither decide nor did before the last upload, and what was shared
    /// by models that are gone.
    pub(crate) fn sweep_models(&self, store: &Store) -> Result<(), StoreError> {
        let known = self.known_plugins();
        let mut batch = Batch::new();
        let (mut used, mut shared) = (BTreeSet::new(), BTreeSet::new());
        for entry in store.scan::<Models>() {
            let (key, model) = entry?;
            used.extend(model.shared.map(|shared| shared_key(key.0, &shared)));
            if !known.contains(&key.0) {
                batch.delete::<Models>(&key)?;
            } else if key.1.starts_with(SHARED) {
                shared.insert(key);
            }
        }
        for unused in shared.difference(&used) {
            batch.delete::<Models>(unused)?;
        }
        store.commit_lazy(batch)
    }

    /// The plugins whose models may be needed: those that decide, and those that a rollback returns to.
    fn known_plugins(&self) -> BTreeSet<haggle_store::Digest> {
        let pairs = self.decider.registry.list().into_iter();
        let generations = pairs.flat_map(|(current, previous)| [Some(current), previous]);
        generations.flatten().map(|generation| stored(&generation.digest())).collect()
    }
}

/// Where a model is too large to be kept, it is fitted again after a restart.
fn put(batch: &mut Batch, key: &Key, model: &FittedModel) {
    if let Err(error) = batch.put::<Models>(key, model) {
        tracing::warn!(model = key.1, %error, "the model is not kept");
    }
}

/// How the keys begin of what models share.
const SHARED: &str = "shared/";

fn shared_key(plugin: haggle_store::Digest, shared: &haggle_store::Digest) -> Key {
    (plugin, format!("{SHARED}{shared}"))
}

fn service_key(plugin: haggle_store::Digest, service: &Name) -> Key {
    (plugin, format!("service/{service}"))
}

pub(crate) const fn stored(digest: &Digest) -> haggle_store::Digest {
    haggle_store::Digest::from_bytes(*digest.as_bytes())
}
