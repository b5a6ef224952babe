use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use haggle_control::{Generation as Record, GenerationStatus, PluginState};
use haggle_model::{Name, Timestamp};
use haggle_sandbox::{Grant, Load, LoadError, Sandbox};
use serde::Serialize;
use serde_json::Value;

use crate::registry::{Loaded, Registry};

/// So many uploads are compiled or wait for that at once: more would only fill the memory.
const MOST_PENDING: usize = 8;

/// So many failed uploads of plugins are remembered; the oldest are forgotten.
const MOST_FAILED: usize = 64;

/// Has uploads compiled, and knows how the newest of each plugin fares.
#[derive(Debug)]
pub struct Uploads {
    sandbox: Arc<Sandbox>,
    registry: Arc<Registry>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The highest number that was given for each plugin since the host started.
    numbers: BTreeMap<Name, u64>,
    /// The highest number of a plugin whose numbers were forgotten: none up to it is given again.
    forgotten: u64,
    newest: BTreeMap<Name, UploadStatus>,
    /// The plugins whose uploads failed, oldest first.
    failed: VecDeque<Name>,
    /// Those whose bytes are in memory.
    pending: usize,
}

/// How the newest upload of a plugin fares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UploadStatus {
    /// The generation that it becomes.
    pub generation: u64,
    /// How far it is.
    pub phase: UploadPhase,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How far an upload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UploadPhase {
    /// It is checked, compiled and tried out, or waits for its promotion.
    Compiling,
    /// It decides, or has decided.
    Ready,
    /// It does not decide; the error says why.
    Failed,
}

/// Why an upload does not become a generation. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UploadError {
    /// Too many at once.
    #[error("{0} uploads are being compiled or wait for that, the most at once: try again later")]
    Busy(usize),
    /// Something else than an object is no configuration.
    #[error("the configuration of plugin {plugin} must be a JSON object: it is {found}")]
    Configuration {
        /// The plugin.
        plugin: Name,
        /// What it is.
        found: String,
    },
    /// What is wrong with the component.
    #[error("plugin {plugin}: {cause}")]
    Load {
        /// The plugin.
        plugin: Name,
        /// What is wrong.
        cause: LoadError,
    },
}

/// What is uploaded.
#[derive(Clone, Debug)]
pub struct Component<'a> {
    /// The component, or a core module with component type information.
    pub bytes: &'a [u8],
    /// An object that every call passes to it; null is an empty one.
    pub configuration: Value,
    /// The directories that it may read.
    pub grants: &'a [Grant],
}

/// An upload that has a number and is one of those that may be pending.
#[derive(Debug)]
pub struct Upload<'a> {
    uploads: &'a Uploads,
    plugin: Name,
    number: u64,
    is_over: bool,
}

/// Finds a component by its SHA-256 in hexadecimal, where it is kept.
pub type FindArtefact<'a> = &'a dyn Fn(&str) -> Result<Option<Vec<u8>>, String>;

impl Uploads {
    /// Uploads into a registry, compiled by a sandbox.
    #[must_use]
    pub fn new(sandbox: Arc<Sandbox>, registry: Arc<Registry>) -> Self {
        Self { sandbox, registry, state: Mutex::default() }
    }

    /// Begins an upload. Its number is above all that were given for the plugin, be it before the host
    /// started: `known` is what the core knows of the plugin.
    ///
    /// # Errors
    /// [`UploadError::Busy`].
    pub fn begin(
        &self,
        plugin: &Name,
        known: Option<&PluginState>,
    ) -> Result<Upload<'_>, UploadError> {
        let built_in = self.registry.built_in_of(plugin).map(|loaded| loaded.who.generation);
        let known = known.map_or(0, PluginState::highest).max(built_in.unwrap_or(0));
        let mut state = self.state();
        if state.pending >= MOST_PENDING {
            return Err(UploadError::Busy(state.pending));
        }
        state.pending += 1;
        let forgotten = state.forgotten;
        let highest = state.numbers.entry(plugin.clone()).or_insert(forgotten);
        *highest = known.max(*highest) + 1;
        let number = *highest;
        state.set(plugin, number, UploadPhase::Compiling, None);
        Ok(Upload { uploads: self, plugin: plugin.clone(), number, is_over: false })
    }

    /// Begins and compiles an upload; see [`Uploads::begin`] and [`Upload::load`].
    ///
    /// # Errors
    /// [`UploadError`] saying what is wrong with it.
    pub fn load(
        &self,
        plugin: &Name,
        known: Option<&PluginState>,
        component: Component<'_>,
        now: Timestamp,
    ) -> Result<(Loaded, Record), UploadError> {
        self.begin(plugin, known)?.load(component, now)
    }

    /// Notes whether the core has promoted a generation. One that decides now was kept by
    /// [`Decider::promote`](crate::Decider::promote); any other is dropped.
    pub fn finish(&self, plugin: &Name, number: u64, outcome: Result<(), String>) {
        self.registry.discard(plugin, number);
        let (phase, error) = match outcome {
            Ok(()) => (UploadPhase::Ready, None),
            Err(error) => (UploadPhase::Failed, Some(error)),
        };
        self.state().set(plugin, number, phase, error);
    }

    /// Removes the code that was compiled from other components than these, unless an upload is under way.
    ///
    /// # Errors
    /// Where the folder of compiled code cannot be read or a file not be removed.
    pub fn sweep(&self, keep: &BTreeSet<String>) -> std::io::Result<()> {
        if self.is_busy() { Ok(()) } else { self.sandbox.sweep(keep) }
    }

    /// Whether any upload is being compiled or waits for that.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.state().pending > 0
    }

    /// Forgets how the uploads of a plugin fared that is deleted. Its numbers are not given again.
    pub fn forget(&self, plugin: &Name) {
        self.state().forget(plugin);
    }

    /// How the newest upload of a plugin since the host started fares.
    #[must_use]
    pub fn status(&self, plugin: &Name) -> Option<UploadStatus> {
        self.state().newest.get(plugin).cloned()
    }

    /// Loads what the core knows of uploaded plugins after a restart and has it decide. What does not load any
    /// more is left out, and what remains decides; the errors say what that is.
    pub fn restore<'a>(
        &self,
        plugins: impl Iterator<Item = (&'a Name, &'a PluginState)>,
        artefact: FindArtefact<'_>,
    ) -> Vec<RestoreError> {
        let mut errors = Vec::new();
        for (plugin, known) in plugins {
            let (current, previous) = (known.current.as_deref(), known.previous.as_deref());
            for record in current.into_iter().chain(previous) {
                match self.restore_one(record, artefact) {
                    Ok(loaded) => self.registry.keep(loaded),
                    Err(cause) => {
                        let (plugin, generation) = (plugin.clone(), record.number);
                        errors.push(RestoreError { plugin, generation, cause });
                    }
                }
            }
            // What is missing was said just now.
            let _ = self.registry.apply(plugin, current, previous);
        }
        errors
    }

    fn restore_one(&self, record: &Record, artefact: FindArtefact<'_>) -> Result<Loaded, String> {
        let bytes = artefact(&record.digest)?;
        let bytes = bytes.ok_or_else(|| format!("its component {} is gone", record.digest))?;
        let grants: Vec<Grant> = grants(record).collect();
        let generation = self.sandbox.load(Load {
            plugin: record.plugin.as_str(),
            generation: record.number,
            bytes: &bytes,
            configuration: &configuration(&record.configuration),
            grants: &grants,
        });
        let generation = generation.map_err(|error| error.to_string())?;
        if generation.digest().to_string() != record.digest {
            return Err(format!("its component is not {} but another one", record.digest));
        }
        Ok(Loaded::new(record.plugin.clone(), Arc::new(generation)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A generation that does not load any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("generation {generation} of plugin {plugin} cannot be restored: {cause}")]
pub struct RestoreError {
    /// The plugin.
    pub plugin: Name,
    /// The generation.
    pub generation: u64,
    /// Why.
    pub cause: String,
}

impl State {
    fn set(&mut self, plugin: &Name, generation: u64, phase: UploadPhase, error: Option<String>) {
        if self.newest.get(plugin).is_none_or(|newest| newest.generation <= generation) {
            self.newest.insert(plugin.clone(), UploadStatus { generation, phase, error });
        }
        if phase == UploadPhase::Failed {
            self.failed.retain(|earlier| earlier != plugin);
            self.failed.push_back(plugin.clone());
            self.forget_failed();
        }
    }

    /// An upload has failed. Its generation never decided, so its number is given again, if it was the last.
    fn fail(&mut self, plugin: &Name, number: u64, error: String) {
        if let Some(highest) = self.numbers.get_mut(plugin).filter(|highest| **highest == number) {
            *highest = number.saturating_sub(1);
        }
        self.set(plugin, number, UploadPhase::Failed, Some(error));
    }

    /// Anybody can upload under any name, so what is remembered of failures is bounded.
    fn forget_failed(&mut self) {
        while self.failed.len() > MOST_FAILED
            && let Some(oldest) = self.failed.pop_front()
        {
            if self.newest.get(&oldest).is_some_and(|it| it.phase == UploadPhase::Failed) {
                self.forget(&oldest);
            }
        }
    }

    fn forget(&mut self, plugin: &Name) {
        self.newest.remove(plugin);
        let number = self.numbers.remove(plugin).unwrap_or_default();
        self.forgotten = self.forgotten.max(number);
    }
}

impl Upload<'_> {
    /// The number of the generation that it becomes.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Has it checked, compiled and tried out, which may take minutes and belongs on a thread of its own. The
    /// caller stores the bytes, has the core promote the record, and then calls [`Uploads::finish`].
    ///
    /// # Errors
    /// [`UploadError`] saying what is wrong with it.
    pub fn load(
        mut self,
        component: Component<'_>,
        now: Timestamp,
    ) -> Result<(Loaded, Record), UploadError> {
        let outcome = self.compile(component, now);
        let mut state = self.uploads.state();
        if let Err(error) = &outcome {
            state.fail(&self.plugin, self.number, error.to_string());
        }
        drop(state);
        self.is_over = true;
        let (loaded, record) = outcome?;
        self.uploads.registry.keep(loaded.clone());
        Ok((loaded, record))
    }

    fn compile(
        &self,
        component: Component<'_>,
        now: Timestamp,
    ) -> Result<(Loaded, Record), UploadError> {
        let Component { bytes, configuration, grants } = component;
        let plugin = self.plugin.clone();
        let configuration = match configuration {
            Value::Null => Value::Object(serde_json::Map::new()),
            object @ Value::Object(_) => object,
            other => {
                let found = crate::complaints::cut(other.to_string());
                return Err(UploadError::Configuration { plugin, found });
            }
        };
        let generation = self.uploads.sandbox.load(Load {
            plugin: plugin.as_str(),
            generation: self.number,
            bytes,
            configuration: &configuration.to_string(),
            grants,
        });
        let generation =
            generation.map_err(|cause| UploadError::Load { plugin: plugin.clone(), cause })?;
        let record = Record {
            plugin: plugin.clone(),
            number: self.number,
            digest: generation.digest().to_string(),
            size: generation.size() as u64,
            loaded_at: now,
            roles: generation.roles().iter().map(ToString::to_string).collect(),
            configuration,
            granted: grants.iter().map(|g| (g.guest.clone(), g.host.clone())).collect(),
            status: GenerationStatus::Active,
        };
        Ok((Loaded::new(plugin, Arc::new(generation)), record))
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        let mut state = self.uploads.state();
        state.pending = state.pending.saturating_sub(1);
        if !self.is_over {
            state.fail(&self.plugin, self.number, "it ended before it was compiled".to_owned());
        }
    }
}

/// The directories that a generation was granted.
pub(crate) fn grants(record: &Record) -> impl Iterator<Item = Grant> {
    let grant =
        |(guest, host): &(String, String)| Grant { host: host.clone(), guest: guest.clone() };
    record.granted.iter().map(grant)
}

/// The configuration of a generation as every call is given it.
fn configuration(value: &Value) -> String {
    match value {
        Value::Object(_) => value.to_string(),
        _ => "{}".to_owned(),
    }
}
