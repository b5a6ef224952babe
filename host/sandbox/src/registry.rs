use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;

use crate::{functions::Role, generation::Generation};

/// The plugins of a host, each with the generation that decides and the one before it. Reading takes no
/// lock; a change replaces the whole table at once, so a caller sees either the old or the new one.
#[derive(Debug, Default)]
pub struct Registry {
    plugins: ArcSwap<BTreeMap<String, Slot>>,
    /// Held by whoever changes the table.
    changing: Mutex<()>,
}

#[derive(Clone, Debug)]
struct Slot {
    current: Arc<Generation>,
    previous: Option<Arc<Generation>>,
}

/// Why a change was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// No plugin of that name.
    #[error("there is no plugin {0}: load it first")]
    Unknown(String),
    /// Nothing to go back to.
    #[error("plugin {0} has no earlier generation to go back to")]
    NoPrevious(String),
    /// Something newer was promoted meanwhile.
    #[error("plugin {plugin}: generation {number} is not newer than {current}")]
    Stale {
        /// The plugin.
        plugin: String,
        /// What was to be promoted.
        number: u64,
        /// What decides.
        current: u64,
    },
}

impl Registry {
    /// Makes a generation the one that decides. Calls in flight finish on the old one, which is kept.
    ///
    /// # Errors
    /// [`RegistryError::Stale`] when a newer one decides already.
    pub fn promote(&self, generation: Generation) -> Result<Arc<Generation>, RegistryError> {
        let generation = Arc::new(generation);
        self.change(|plugins| {
            let previous = plugins.get(generation.plugin()).map(|slot| Arc::clone(&slot.current));
            if let Some(current) = previous.as_ref().map(|current| current.number())
                && current >= generation.number()
            {
                return Err(RegistryError::Stale {
                    plugin: generation.plugin().to_owned(),
                    number: generation.number(),
                    current,
                });
            }
            let slot = Slot { current: Arc::clone(&generation), previous };
            plugins.insert(generation.plugin().to_owned(), slot);
            Ok(Arc::clone(&generation))
        })
    }

    /// Puts a plugin back as it was before a restart.
    pub fn restore(&self, current: Arc<Generation>, previous: Option<Arc<Generation>>) {
        let name = current.plugin().to_owned();
        let slot = Slot { current, previous };
        let restored: Result<(), RegistryError> = self.change(|plugins| {
            plugins.insert(name, slot);
            Ok(())
        });
        debug_assert!(restored.is_ok(), "nothing refuses a restore");
    }

    /// Goes back to the generation before; the one that decided is kept in its place, so that doing it
    /// twice changes nothing.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`], [`RegistryError::NoPrevious`].
    pub fn rollback(&self, plugin: &str) -> Result<Arc<Generation>, RegistryError> {
        self.change(|plugins| {
            let unknown = || RegistryError::Unknown(plugin.to_owned());
            let slot = plugins.get_mut(plugin).ok_or_else(unknown)?;
            let none = || RegistryError::NoPrevious(plugin.to_owned());
            let back = slot.previous.take().ok_or_else(none)?;
            slot.previous = Some(std::mem::replace(&mut slot.current, Arc::clone(&back)));
            Ok(back)
        })
    }

    /// Takes a plugin away. Calls in flight finish.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`].
    pub fn remove(&self, plugin: &str) -> Result<(), RegistryError> {
        self.change(|plugins| {
            let unknown = || RegistryError::Unknown(plugin.to_owned());
            plugins.remove(plugin).map(drop).ok_or_else(unknown)
        })
    }

    /// The generation that decides.
    #[must_use]
    pub fn current(&self, plugin: &str) -> Option<Arc<Generation>> {
        self.plugins.load().get(plugin).map(|slot| Arc::clone(&slot.current))
    }

    /// The generation before it.
    #[must_use]
    pub fn previous(&self, plugin: &str) -> Option<Arc<Generation>> {
        self.plugins.load().get(plugin).and_then(|slot| slot.previous.clone())
    }

    /// All plugins by name: the generation that decides and the one before it.
    #[must_use]
    pub fn list(&self) -> Vec<(Arc<Generation>, Option<Arc<Generation>>)> {
        let pair = |slot: &Slot| (Arc::clone(&slot.current), slot.previous.clone());
        self.plugins.load().values().map(pair).collect()
    }

    /// The plugins that have a role, by name.
    #[must_use]
    pub fn with_role(&self, role: Role) -> Vec<Arc<Generation>> {
        let current = |slot: &Slot| Arc::clone(&slot.current);
        let has = |generation: &Arc<Generation>| generation.roles().contains(&role);
        self.plugins.load().values().map(current).filter(has).collect()
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&mut BTreeMap<String, Slot>) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut plugins = self.plugins.load().as_ref().clone();
        let result = change(&mut plugins)?;
        self.plugins.store(Arc::new(plugins));
        Ok(result)
    }
}
