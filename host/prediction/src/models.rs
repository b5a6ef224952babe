//! What plugins have learnt: in memory, and behind a store where it outlives the process.
//!
//! What a panel shares is stored once, by its digest, and each model of a service says which it goes with.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use haggle_model::{Name, Span, Timestamp};
use haggle_sandbox::Digest;
use serde::{Deserialize, Serialize};

/// Where models outlive the process. They can always be fitted again: a crash may take back what was put.
pub trait ModelStore: Send + Sync {
    /// A model, where there is one.
    ///
    /// # Errors
    /// [`ModelError`] where it cannot be read.
    fn get(&self, key: &ModelKey) -> Result<Option<StoredModel>, ModelError>;

    /// Keeps a model in place of the one before. It must not wait for a disk.
    ///
    /// # Errors
    /// [`ModelError`] where it cannot be kept.
    fn put(&self, key: &ModelKey, model: StoredModel) -> Result<(), ModelError>;

    /// Deletes a model; nothing happens where there is none.
    ///
    /// # Errors
    /// [`ModelError`] where it cannot be deleted.
    fn delete(&self, key: &ModelKey) -> Result<(), ModelError>;

    /// The keys of all models, each with what the model shares with others.
    ///
    /// # Errors
    /// [`ModelError`] where they cannot be read.
    fn keys(&self) -> Result<Vec<(ModelKey, Option<Digest>)>, ModelError>;
}

/// Why a model is not kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// It is larger than what the store keeps.
    #[error("a model of {actual} bytes is too large to be kept: at most {most}")]
    TooLarge {
        /// Its size.
        actual: usize,
        /// The most bytes.
        most: usize,
    },
    /// The store fails.
    #[error("the store: {0}")]
    Store(String),
}

/// Whose model it is. As text: `service/web`, `shared/<digest>` or `failures/default`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelKey {
    /// The component that made it; another one cannot read it.
    pub component: Digest,
    /// What it is about.
    pub of: ModelOf,
}

/// What a model is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ModelOf {
    /// The load of a service.
    Service(Name),
    /// What models of services share, by its digest.
    Shared(Digest),
    /// The failures of the services of a policy.
    Failures(Name),
}

/// A model as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredModel {
    /// When it was fitted.
    pub fitted_at: Timestamp,
    /// What the plugin returned.
    pub bytes: Vec<u8>,
    /// The digest of what it shares with others, kept under [`ModelOf::Shared`].
    pub shared: Option<Digest>,
    /// How many of the values before the fit a forecast looks at; all if none.
    pub lookback: Option<u32>,
}

/// What a plugin has learnt about a service.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    /// Of the generation that was to fit it.
    pub(crate) wanted: Digest,
    /// Of the generation that did, which is another one where that one failed.
    pub(crate) component: Digest,
    pub(crate) fitted_at: Timestamp,
    /// None where it could not be fitted; that is tried again later.
    pub(crate) bytes: Option<Arc<Vec<u8>>>,
    pub(crate) shared: Option<Shared>,
    /// How many of the values before the fit a forecast looks at; all if none.
    pub(crate) lookback: Option<u32>,
}

/// What the models of a panel share.
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
    /// Could not be fitted now.
    pub(crate) const fn unfitted(wanted: Digest, fitted_at: Timestamp) -> Self {
        let (bytes, shared, lookback) = (None, None, None);
        Self { wanted, component: wanted, fitted_at, bytes, shared, lookback }
    }

    /// The plugin cannot go on from it: it is fitted again at once, and not read from the store instead.
    pub(crate) fn outdate(&mut self) {
        self.fitted_at = Timestamp::default();
        self.forget();
    }

    /// There is nothing to go on from, as if it could not be fitted.
    pub(crate) fn forget(&mut self) {
        *self = Self::unfitted(self.wanted, self.fitted_at);
    }

    /// Whether it is to be fitted again before anything is forecast with it.
    pub(crate) fn is_outdated(&self) -> bool {
        self.fitted_at == Timestamp::default()
    }

    /// Whether the generation that was to fit it could not.
    pub(crate) fn is_makeshift(&self) -> bool {
        self.bytes.is_none() || self.component != self.wanted
    }

    /// What the component can go on from.
    pub(crate) fn bytes_for(&self, component: Digest) -> Option<&Arc<Vec<u8>>> {
        self.bytes.as_ref().filter(|_| self.component == component)
    }

    /// How many of the latest values a forecast with it needs, where that is known; at least one.
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

/// Models as they are read from a store; what several of them share is read once.
pub(crate) struct Reader<'a> {
    store: &'a dyn ModelStore,
    shared: BTreeMap<ModelKey, Option<Shared>>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(store: &'a dyn ModelStore) -> Self {
        Self { store, shared: BTreeMap::new() }
    }

    /// The model that a component has fitted to a service; none where a part of it is missing or cannot be
    /// read: the service is fitted again then.
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

/// A model; one that cannot be read is as good as none.
pub(crate) fn read(store: &dyn ModelStore, key: &ModelKey) -> Option<StoredModel> {
    store.get(key).unwrap_or_else(|error| {
        tracing::warn!(model = %key.of, %error, "the model cannot be read and is fitted again");
        None
    })
}

/// Models in memory, for a host that keeps nothing, and for tests.
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
