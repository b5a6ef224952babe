use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use haggle_control::Generation as Record;
use haggle_model::Name;
use haggle_sandbox::{Digest, Generation, Role};

/// Identifies a generation of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Who {
    /// The plugin.
    pub plugin: Name,
    /// Its generation.
    pub generation: u64,
    /// The digest of its component. Models belong to the component.
    pub digest: Digest,
}

/// A loaded generation.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Its identity.
    pub who: Who,
    /// The compiled component.
    pub generation: Arc<Generation>,
}

/// The compiled generations: the active one of each plugin, and the one to which a rollback returns. Reads
/// never block; the core controls the changes ([`Registry::apply`]).
#[derive(Debug)]
pub struct Registry {
    /// Built-in generations, ordered by rank: the first with a role is the fallback for all others.
    built_in: Vec<Loaded>,
    plugins: ArcSwap<BTreeMap<Name, Slot>>,
    /// Compiled but not yet promoted generations. Changes of the table also hold this lock.
    waiting: Mutex<BTreeMap<(Name, u64), Loaded>>,
}

/// The generations of an uploaded plugin.
#[derive(Clone, Debug, Default)]
struct Slot {
    current: Option<Loaded>,
    previous: Option<Loaded>,
}

/// A generation should become active but is not loaded. The previous or built-in one is used instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "generation {number} of plugin {plugin} is not loaded and cannot decide: upload the plugin again, or roll it back"
)]
pub struct NotLoaded {
    /// The plugin.
    pub plugin: Name,
    /// The generation.
    pub number: u64,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plugin {} generation {}", self.plugin, self.generation)
    }
}

impl Loaded {
    /// Identifies a compiled generation.
    #[must_use]
    pub fn new(plugin: Name, generation: Arc<Generation>) -> Self {
        let who = Who { plugin, generation: generation.number(), digest: generation.digest() };
        Self { who, generation }
    }

    /// Whether the generation has the role.
    #[must_use]
    pub fn plays(&self, role: Role) -> bool {
        self.generation.roles().contains(&role)
    }
}

impl Registry {
    /// Creates a registry of the built-in plugins, ordered by rank.
    #[must_use]
    pub fn new(built_in: Vec<Loaded>) -> Self {
        Self { built_in, plugins: ArcSwap::default(), waiting: Mutex::default() }
    }

    /// Returns the built-in plugins, ordered by rank.
    #[must_use]
    pub fn built_in(&self) -> &[Loaded] {
        &self.built_in
    }

    /// Returns the built-in generation of that name.
    #[must_use]
    pub fn built_in_of(&self, plugin: &Name) -> Option<&Loaded> {
        self.built_in.iter().find(|built_in| built_in.who.plugin == *plugin)
    }

    /// Stores a compiled generation until it is promoted or discarded.
    pub fn keep(&self, loaded: Loaded) {
        let key = (loaded.who.plugin.clone(), loaded.who.generation);
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(key, loaded);
    }

    /// Drops a compiled generation that was not promoted.
    pub fn discard(&self, plugin: &Name, number: u64) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.remove(&(plugin.clone(), number));
    }

    /// Makes these generations active, as the core decided with
    /// [`Effect::Promote`](haggle_control::Effect::Promote). Calls in flight finish on the old generations.
    /// Generations that are neither current nor previous are dropped, and so are compiled ones that are older
    /// than either.
    ///
    /// # Errors
    /// [`NotLoaded`] when a generation was never compiled or is dropped; the other one is applied
    /// nevertheless.
    pub fn apply(
        &self,
        plugin: &Name,
        current: Option<&Record>,
        previous: Option<&Record>,
    ) -> Result<(), NotLoaded> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut plugins = self.plugins.load().as_ref().clone();
        let old = plugins.remove(plugin).unwrap_or_default();
        let mut missing = None;
        let mut find = |record: &Record| {
            let number = record.number;
            let known = [&old.current, &old.previous].into_iter().flatten();
            let mut known = known.filter(|loaded| loaded.who.generation == number);
            // The built-in generation also has a number, but records never refer to it.
            let uploaded = known.find(|loaded| !self.is_built_in(loaded)).cloned();
            let found = uploaded.or_else(|| waiting.get(&(plugin.clone(), number)).cloned());
            if found.is_none() {
                missing.get_or_insert(NotLoaded { plugin: plugin.clone(), number });
            }
            found
        };
        let built_in = || self.built_in_of(plugin).cloned();
        let slot = match (current, previous) {
            (None, None) => Slot::default(),
            (None, Some(previous)) => Slot { current: built_in(), previous: find(previous) },
            (Some(current), None) => Slot { current: find(current), previous: built_in() },
            (Some(current), Some(previous)) => {
                Slot { current: find(current), previous: find(previous) }
            }
        };
        let newest = current.into_iter().chain(previous).map(|record| record.number).max();
        waiting.retain(|(of, number), _| of != plugin || Some(*number) > newest);
        if slot.current.is_some() || slot.previous.is_some() {
            plugins.insert(plugin.clone(), slot);
        }
        self.plugins.store(Arc::new(plugins));
        drop(waiting);
        missing.map_or(Ok(()), Err)
    }

    /// Returns the active generation.
    #[must_use]
    pub fn current(&self, plugin: &Name) -> Option<Loaded> {
        match self.plugins.load().get(plugin) {
            Some(slot) => slot.current.clone(),
            None => self.built_in_of(plugin).cloned(),
        }
    }

    /// Returns the generation to which a rollback returns.
    #[must_use]
    pub fn previous(&self, plugin: &Name) -> Option<Loaded> {
        self.plugins.load().get(plugin)?.previous.clone()
    }

    /// Returns all plugins with an active or previous generation, by name: (current, previous).
    #[must_use]
    pub fn list(&self) -> BTreeMap<Name, (Option<Loaded>, Option<Loaded>)> {
        let built_in = self.built_in.iter();
        let mut all: BTreeMap<_, _> = built_in
            .map(|loaded| (loaded.who.plugin.clone(), (Some(loaded.clone()), None)))
            .collect();
        for (plugin, slot) in self.plugins.load().iter() {
            all.insert(plugin.clone(), (slot.current.clone(), slot.previous.clone()));
        }
        all
    }

    /// Returns the candidates in the order of their calls: the current generation, the previous one unless it
    /// was rolled back, the built-in one of the same name, and the first built-in one with the role.
    #[must_use]
    pub fn candidates(&self, plugin: &Name, role: Role) -> Vec<Loaded> {
        let named = self.built_in_of(plugin).cloned();
        let stand_in = self.built_in.iter().find(|built_in| built_in.plays(role)).cloned();
        let current = self.current(plugin);
        let number = |loaded: &Loaded| loaded.who.generation;
        let previous = self.previous(plugin);
        let previous =
            previous.filter(|it| current.as_ref().is_none_or(|c| number(it) < number(c)));
        let chain = [current, previous, named, stand_in];
        let mut all: Vec<Loaded> = Vec::with_capacity(3);
        for loaded in chain.into_iter().flatten().filter(|loaded| loaded.plays(role)) {
            if !all.iter().any(|other| Arc::ptr_eq(&other.generation, &loaded.generation)) {
                all.push(loaded);
            }
        }
        all
    }

    /// The name of a generation in messages.
    pub(crate) fn title(&self, loaded: &Loaded) -> String {
        if self.is_built_in(loaded) {
            format!("the built-in {}", loaded.who.plugin)
        } else {
            loaded.who.to_string()
        }
    }

    /// Whether the generation is built in.
    #[must_use]
    pub fn is_built_in(&self, loaded: &Loaded) -> bool {
        self.built_in.iter().any(|other| Arc::ptr_eq(&other.generation, &loaded.generation))
    }
}
