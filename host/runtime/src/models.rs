//! The store of plugin models.

use std::sync::Arc;

use haggle_prediction::{ModelError, ModelKey, ModelOf, ModelStore, StoredModel};
use haggle_sandbox::Digest;
use haggle_store::{Batch, FittedModel, Models, Store, StoreError, readable};

/// Stores models in the host's store.
pub(crate) struct KeptModels(pub(crate) Arc<Store>);

type Key = (haggle_store::Digest, String);

impl ModelStore for KeptModels {
    fn get(&self, key: &ModelKey) -> Result<Option<StoredModel>, ModelError> {
        let found = self.0.get::<Models>(&stored_key(key)).map_err(failed)?;
        Ok(found.map(|kept| StoredModel {
            fitted_at: kept.fitted_at,
            bytes: kept.model,
            shared: kept.shared.map(|digest| Digest::from_bytes(*digest.as_bytes())),
            lookback: kept.lookback,
        }))
    }

    fn put(&self, key: &ModelKey, model: StoredModel) -> Result<(), ModelError> {
        let StoredModel { fitted_at, bytes, shared, lookback } = model;
        let shared = shared.map(|digest| stored(&digest));
        let mut batch = Batch::new();
        let kept = FittedModel { fitted_at, model: bytes, shared, lookback };
        batch.put::<Models>(&stored_key(key), &kept).map_err(failed)?;
        self.0.commit_lazy(batch).map_err(failed)
    }

    fn delete(&self, key: &ModelKey) -> Result<(), ModelError> {
        let mut batch = Batch::new();
        batch.delete::<Models>(&stored_key(key)).map_err(failed)?;
        self.0.commit_lazy(batch).map_err(failed)
    }

    fn keys(&self) -> Result<Vec<(ModelKey, Option<Digest>)>, ModelError> {
        let mut all = Vec::new();
        let told = |unreadable| tracing::warn!(%unreadable, "a model is left out");
        for entry in readable(self.0.scan::<Models>(), told) {
            let (key, kept) = entry.map_err(failed)?;
            let shared = kept.shared.map(|digest| Digest::from_bytes(*digest.as_bytes()));
            all.extend(read_key(&key).map(|key| (key, shared)));
        }
        Ok(all)
    }
}

fn stored_key(key: &ModelKey) -> Key {
    (stored(&key.component), key.of.to_string())
}

/// Parses the key of a stored model; `None` if it is not valid.
fn read_key((component, of): &Key) -> Option<ModelKey> {
    let (kind, name) = of.split_once('/')?;
    let of = match kind {
        "service" => ModelOf::Service(name.parse().ok()?),
        "failures" => ModelOf::Failures(name.parse().ok()?),
        "shared" => {
            let digest: haggle_store::Digest = name.parse().ok()?;
            ModelOf::Shared(Digest::from_bytes(*digest.as_bytes()))
        }
        _ => return None,
    };
    Some(ModelKey { component: Digest::from_bytes(*component.as_bytes()), of })
}

const fn stored(digest: &Digest) -> haggle_store::Digest {
    haggle_store::Digest::from_bytes(*digest.as_bytes())
}

fn failed(error: StoreError) -> ModelError {
    match error {
        StoreError::TooLarge { bytes, most, .. } => ModelError::TooLarge { actual: bytes, most },
        other => ModelError::Store(other.to_string()),
    }
}
