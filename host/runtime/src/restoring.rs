//! Loads plugins when a host opens: the built-in ones, and uploads from before the restart.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use haggle_builtin::{BUILTIN, Builtin};
use haggle_control::{Generation, PluginState};
use haggle_model::Name;
use haggle_plugins::{Decider, Loaded, MonotonicClock, Registry, Uploads};
use haggle_sandbox::{Load, Sandbox};
use haggle_store::{Digest, Store};

use crate::{
    HostError,
    observing::{Calls, Watch},
};

/// The plugin subsystem of a host.
pub(crate) struct Plugins {
    pub(crate) decider: Arc<Decider>,
    pub(crate) uploads: Uploads,
    pub(crate) journal: Option<Arc<Calls>>,
    pub(crate) registry: Arc<Registry>,
}

/// Logs the progress of loading the built-in plugins. If they must be compiled, this takes minutes on a small
/// machine.
struct Loading {
    done: AtomicUsize,
    since: Instant,
}

/// Plugins that load faster were already compiled, and get no log line.
const AT_ONCE: Duration = Duration::from_secs(1);

impl Loading {
    fn begin() -> Self {
        let loading = Self { done: AtomicUsize::new(0), since: Instant::now() };
        loading.say(0);
        loading
    }

    fn one_more(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if done == BUILTIN.len() || self.since.elapsed() >= AT_ONCE {
            self.say(done);
        }
    }

    fn say(&self, done: usize) {
        tracing::info!("compiling the built-in plugins: {done} of {}", BUILTIN.len());
    }
}

impl Plugins {
    /// Loads the built-in plugins.
    pub(crate) fn open(
        sandbox: Sandbox,
        store: &Arc<Store>,
        journal: bool,
        watch: Watch,
    ) -> Result<Self, HostError> {
        let sandbox = Arc::new(sandbox);
        // Plugins that share a component are loaded in sequence, so that it is compiled once. This does not
        // use rayon's threads, because compiling waits for work on those threads.
        let progress = Loading::begin();
        let built_in: Vec<Loaded> = std::thread::scope(|scope| {
            let (sandbox, progress) = (&sandbox, &progress);
            let of_one = |builtins: &'static [Builtin]| {
                let load = move |builtin| {
                    let loaded = built_in(sandbox, store, builtin)?;
                    progress.one_more();
                    Ok(loaded)
                };
                scope
                    .spawn(move || builtins.iter().map(load).collect::<Result<Vec<_>, HostError>>())
            };
            let groups = BUILTIN.chunk_by(|one, next| one.component == next.component);
            let threads: Vec<_> = groups.map(of_one).collect();
            let ended = threads.into_iter().map(|thread| {
                let lost = |_| HostError::Task("a plugin's load panicked".to_owned());
                thread.join().map_err(lost)?
            });
            ended.collect::<Result<Vec<_>, _>>()
        })?
        .into_iter()
        .flatten()
        .collect();
        let registry = Arc::new(Registry::new(built_in));
        let journal = journal.then(|| Arc::new(Calls::new(Arc::clone(store))));
        let kept = journal.clone().map(|calls| calls as Arc<dyn haggle_plugins::Journal>);
        let clock = Arc::new(MonotonicClock::default());
        let decider = Decider::new(Arc::clone(&registry), Arc::new(watch), kept, clock);
        let uploads = Uploads::new(sandbox, Arc::clone(&registry));
        Ok(Self { decider: Arc::new(decider), uploads, journal, registry })
    }

    /// Returns the built-in plugins and their roles.
    pub(crate) fn built_in_roles(&self) -> BTreeMap<Name, BTreeSet<String>> {
        let roles = |loaded: &Loaded| {
            let roles = loaded.generation.roles().iter().map(ToString::to_string).collect();
            (loaded.who.plugin.clone(), roles)
        };
        self.registry.built_in().iter().map(roles).collect()
    }

    /// Loads the uploads from before a restart. Uploads that no longer load are omitted and reported.
    pub(crate) fn restore<'a>(
        &self,
        plugins: impl IntoIterator<Item = (&'a Name, &'a PluginState)>,
        store: &Store,
        tell: &mut dyn FnMut(String),
    ) {
        let artefact = |digest: &str| {
            let digest: Digest = digest.parse().map_err(|_| "its digest is none".to_owned())?;
            store.artefacts().get(&digest).map_err(|error| error.to_string())
        };
        for error in self.uploads.restore(plugins.into_iter(), &artefact) {
            tell(error.to_string());
        }
    }

    pub(crate) fn promote(
        &self,
        plugin: &Name,
        current: Option<&Generation>,
        previous: Option<&Generation>,
    ) {
        // A missing generation has already been reported.
        drop(self.decider.promote(plugin, current, previous));
    }

    pub(crate) fn flush_journal(&self) {
        if let Some(journal) = &self.journal {
            journal.flush();
        }
    }
}

fn built_in(sandbox: &Sandbox, store: &Store, builtin: &Builtin) -> Result<Loaded, HostError> {
    let wrong = |what: String| HostError::Task(format!("plugin {}: {what}", builtin.name));
    let name = Name::new(builtin.name).map_err(|error| wrong(error.to_string()))?;
    // A replay needs the component that made a decision, even after the host has a newer one. A full disk
    // must not prevent the host from starting.
    let kept = store.artefacts().get(&Digest::of(builtin.bytes));
    if !matches!(kept, Ok(Some(_)))
        && let Err(error) = store.artefacts().put(builtin.bytes)
    {
        if !error.is_temporary() {
            return Err(error.into());
        }
        tracing::warn!(plugin = builtin.name, %error, "a built-in component is not kept for replays");
    }
    let generation = sandbox.load(Load {
        plugin: builtin.name,
        generation: 1,
        bytes: builtin.bytes,
        configuration: builtin.configuration,
        grants: &[],
    });
    let generation = generation.map_err(|error| wrong(error.to_string()))?;
    Ok(Loaded::new(name, Arc::new(generation.preferred())))
}
