//! Accounts for the memory of all models.

use std::{collections::BTreeMap, fmt};

use haggle_sandbox::Digest;

use crate::models::Model;

/// Maximum size of all service models in memory: 512 MiB. A shared model counts once.
pub(crate) const MOST_BYTES: usize = 512 << 20;

/// Counts the models in memory.
#[derive(Debug)]
pub(crate) struct Memory {
    bytes: usize,
    most: usize,
    /// The number of models that use each shared model, and its size in bytes.
    shared: BTreeMap<Digest, (usize, usize)>,
}

/// There is no room for a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full {
    most: usize,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(MOST_BYTES)
    }
}

impl Memory {
    /// Creates an account with the given limit in bytes.
    pub(crate) const fn new(most: usize) -> Self {
        Self { bytes: 0, most, shared: BTreeMap::new() }
    }

    /// Replaces a model. If there is no room for the new one, the old one is removed nevertheless.
    ///
    /// # Errors
    /// [`Full`]; the new model is then not counted.
    pub(crate) fn replace(&mut self, old: Option<&Model>, new: Option<&Model>) -> Result<(), Full> {
        old.into_iter().for_each(|old| self.give_back(old));
        let Some(new) = new else { return Ok(()) };
        let shared = new.shared.as_ref().filter(|it| !self.shared.contains_key(&it.digest));
        let needed = own(new).saturating_add(shared.map_or(0, |shared| shared.bytes.len()));
        let bytes = self.bytes.saturating_add(needed);
        if bytes > self.most && needed > 0 {
            return Err(Full { most: self.most });
        }
        self.bytes = bytes;
        if let Some(shared) = &new.shared {
            self.shared.entry(shared.digest).or_insert((0, shared.bytes.len())).0 += 1;
        }
        Ok(())
    }

    /// Removes a model.
    pub(crate) fn give_back(&mut self, model: &Model) {
        self.bytes = self.bytes.saturating_sub(own(model));
        let Some(shared) = &model.shared else { return };
        if let Some((users, bytes)) = self.shared.get_mut(&shared.digest) {
            *users = users.saturating_sub(1);
            if *users == 0 {
                self.bytes = self.bytes.saturating_sub(*bytes);
                self.shared.remove(&shared.digest);
            }
        }
    }
}

fn own(model: &Model) -> usize {
    model.bytes.as_ref().map_or(0, |bytes| bytes.len())
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let most = self.most;
        write!(f, "the models of all services have at most {most} bytes together")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use haggle_model::Timestamp;
    use haggle_sandbox::Digest;

    use super::Memory;
    use crate::models::{Model, Shared};

    fn model(own: usize, shared: usize) -> Model {
        let unfitted = Model::unfitted(Digest::of(b"component"), Timestamp::default());
        let shared = (shared > 0).then(|| Shared::new(Arc::new(vec![1; shared])));
        Model { bytes: Some(Arc::new(vec![1; own])), shared, ..unfitted }
    }

    #[test]
    fn what_is_shared_counts_once_and_as_long_as_anybody_needs_it() {
        let mut memory = Memory::new(100);
        let (a, b) = (model(20, 50), model(30, 50));
        assert!(memory.replace(None, Some(&a)).is_ok());
        assert!(memory.replace(None, Some(&b)).is_ok());
        assert_eq!(memory.bytes, 100);
        assert!(memory.replace(None, Some(&model(1, 0))).is_err());
        assert!(memory.replace(None, Some(&model(0, 0))).is_ok(), "nothing always fits");
        assert!(memory.replace(Some(&a), None).is_ok());
        assert_eq!(memory.bytes, 80);
        // It fits into the space of the model that it replaces.
        assert!(memory.replace(Some(&b), Some(&model(50, 50))).is_ok());
        assert!(memory.replace(Some(&model(50, 50)), Some(&model(101, 0))).is_err());
        assert_eq!((memory.bytes, memory.shared.len()), (0, 0));
    }
}
