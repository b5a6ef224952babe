//! Plugin models in memory, backed by a store that survives restarts.
//!
//! A shared model is stored once, by its digest, and each service model refers to it.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use haggle_model::{Name, Span, Timestamp};
use haggle_sandbox::Digest;
use serde::{Deserialize, Serialize};

/// A durable store of models. Models can always be fitted again, so a crash may undo a write.
pub trait ModelStore: Send + Sync {
    /// Returns a model, if there is one.
    ///
    /// # Errors
    /// [`ModelError`] when it cannot be read.
    fn get(&self, key: &ModelKey) -> Result<Option<StoredModel>, ModelError>;

    /// Stores a model, replacing the earlier one. It must not wait for a disk.
    ///
    /// # Errors
    /// [`ModelError`] when it cannot be stored.
    fn put(&self, key: &ModelKey, model: StoredModel) -> Result<(), ModelError>;

    /// Deletes a model, if it exists.
    ///
    /// # Errors
    /// [`ModelError`] when it cannot be deleted.
    fn delete(&self, key: &ModelKey) -> Result<(), ModelError>;

    /// Returns the keys of all models, each with the digest of its shared model.
    ///
    /// # Errors
    /// [`ModelError`] when they cannot be read.
    fn keys(&self) -> Result<Vec<(ModelKey, Option<Digest>)>, ModelError>;
}

/// The reason why a model is not stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// It exceeds the maximum size of the store.
    #[error("a model of {actual} bytes is too large to be kept: at most {most}")]
    TooLarge {
        /// Its size, in bytes.
        actual: usize,
        /// The maximum size, in bytes.
        most: usize,
    },
    /// The store failed.
    #[error("the store: {0}")]
    Store(String),
}

/// Identifies a model. As text: `service/web`, `shared/<digest>` or `failures/default`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelKey {
    /// The component that made it; other components cannot read it.
    pub component: Digest,
    /// The subject of the model.
    pub of: ModelOf,
}

/// The subject of a model.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ModelOf {
    /// The load of a service.
    Service(Name),
    /// The shared part of several service models, by its digest.
    Shared(Digest),
    /// The failures of the services of a policy.
    Failures(Name),
}

/// The stored form of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredModel {
    /// When it was fitted.
    pub fitted_at: Timestamp,
    /// The bytes that the plugin returned.
    pub bytes: Vec<u8>,
    /// The digest of its shared model, stored under [`ModelOf::Shared`].
    pub shared: Option<Digest>,
    /// Number of values before the fit that a forecast needs; `None` means all.
    pub lookback: Option<u32>,
}

/// A model of a service.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    /// The digest of the generation that should fit it.
    pub(crate) wanted: Digest,
    /// The digest of the generation that did, which differs if the intended one failed.
    pub(crate) component: Digest,
    pub(crate) fitted_at: Timestamp,
    /// `None` if the fit failed; it is retried later.
    pub(crate) bytes: Option<Arc<Vec<u8>>>,
    pub(crate) shared: Option<Shared>,
    /// Number of values before the fit that a forecast needs; `None` means all.
    pub(crate) lookback: Option<u32>,
}

/// The shared model of a panel.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) digest: Digest,
    pub(crate) bytes: Arc<Vec<u8>>,
}

impl fmt::Display for ModelOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(name) => write!(f, "service/{name}"),
            Self::Shared(digest) => write!(f, "shared/{digest}"),
            Self::Failures(policy) => write!(f, "failures/{policy}"),
        }
    }
}

impl ModelKey {
    pub(crate) fn service(component: Digest, service: &Name) -> Self {
        Self { component, of: ModelOf::Service(service.clone()) }
    }

    pub(crate) fn failures(component: Digest, policy: &Name) -> Self {
        Self { component, of: ModelOf::Failures(policy.clone()) }
    }
}

impl Model {
    /// Creates a placeholder for a failed fit.
    pub(crate) const fn unfitted(wanted: Digest, fitted_at: Timestamp) -> Self {
        let (bytes, shared, lookback) = (None, None, None);
        Self { wanted, component: wanted, fitted_at, bytes, shared, lookback }
    }

    /// Marks the model as unusable by the plugin: it is fitted again at once, and not reread from the store.
    pub(crate) fn outdate(&mut self) {
        self.fitted_at = Timestamp::default();
        self.forget();
    }

    /// Drops the content, as if the fit had failed.
    pub(crate) fn forget(&mut self) {
        *self = Self::unfitted(self.wanted, self.fitted_at);
    }

    /// Whether the model must be fitted again before any forecast.
    pub(crate) fn is_outdated(&self) -> bool {
        self.fitted_at == Timestamp::default()
    }

    /// Whether the intended generation failed to fit it.
    pub(crate) fn is_makeshift(&self) -> bool {
        self.bytes.is_none() || self.component != self.wanted
    }

    /// Returns the bytes if the component can continue from them.
    pub(crate) fn bytes_for(&self, component: Digest) -> Option<&Arc<Vec<u8>>> {
        self.bytes.as_ref().filter(|_| self.component == component)
    }

    /// Returns the number of latest values that a forecast needs, if known; at least one.
    pub(crate) fn needs(&self, step: Span, now: Timestamp) -> Option<usize> {
        let new = now.floor(step).since(self.fitted_at.floor(step)).steps(step);
        let needed = new.saturating_add(self.lookback?.into());
        Some(usize::try_from(needed).unwrap_or(usize::MAX).max(1))
    }

    pub(crate) fn shared_key(&self) -> Option<ModelKey> {
        let shared = self.shared.as_ref()?;
        Some(ModelKey { component: self.component, of: ModelOf::Shared(shared.digest) })
    }
}

impl Shared {
    pub(crate) fn new(bytes: Arc<Vec<u8>>) -> Self {
        Self { digest: Digest::of(&bytes), bytes }
    }
}

impl PartialEq for Shared {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

/// Reads models from a store; each shared model is read once.
pub(crate) struct Reader<'a> {
    store: &'a dyn ModelStore,
    shared: BTreeMap<ModelKey, Option<Shared>>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(store: &'a dyn ModelStore) -> Self {
        Self { store, shared: BTreeMap::new() }
    }

    /// Returns the model that a component has fitted to a service. If a part is missing or unreadable,
    /// returns `None`, and the service is fitted again.
    pub(crate) fn get(&mut self, component: Digest, service: &Name) -> Option<Model> {
        let kept = read(self.store, &ModelKey::service(component, service))?;
        let shared = match kept.shared {
            None => None,
            Some(digest) => Some(self.shared(component, digest)?),
        };
        let (bytes, lookback) = (Some(Arc::new(kept.bytes)), kept.lookback);
        let fitted_at = kept.fitted_at;
        Some(Model { wanted: component, component, fitted_at, bytes, shared, lookback })
    }

    fn shared(&mut self, component: Digest, digest: Digest) -> Option<Shared> {
        let key = ModelKey { component, of: ModelOf::Shared(digest) };
        if let Some(found) = self.shared.get(&key) {
            return found.clone();
        }
        let kept = read(self.store, &key);
        let found = kept.map(|kept| Shared { digest, bytes: Arc::new(kept.bytes) });
        self.shared.insert(key, found.clone());
        found
    }
}

/// Reads a model; an unreadable one counts as missing.
pub(crate) fn read(store: &dyn ModelStore, key: &ModelKey) -> Option<StoredModel> {
    store.get(key).unwrap_or_else(|error| {
        tracing::warn!(model = %key.of, %error, "the model cannot be read and is fitted again");
        None
    })
}

/// Models in memory, for a host without a store, and for tests.
#[derive(Debug, Default)]
pub struct MemoryModels(Mutex<BTreeMap<ModelKey, StoredModel>>);

impl ModelStore for MemoryModels {
    fn get(&self, key: &ModelKey) -> Result<Option<StoredModel>, ModelError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
    }

    fn put(&self, key: &ModelKey, model: StoredModel) -> Result<(), ModelError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), model);
        Ok(())
    }

    fn delete(&self, key: &ModelKey) -> Result<(), ModelError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        Ok(())
    }

    fn keys(&self) -> Result<Vec<(ModelKey, Option<Digest>)>, ModelError> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(all.iter().map(|(key, model)| (key.clone(), model.shared)).collect())
    }
}
