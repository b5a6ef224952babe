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

/// Maximum number of uploads that are compiled or waiting for it at once, which bounds the memory.
const MOST_PENDING: usize = 8;

/// Maximum number of failed uploads to remember; the oldest are dropped.
const MOST_FAILED: usize = 64;

/// Compiles uploads, and knows the status of each plugin's newest one.
#[derive(Debug)]
pub struct Uploads {
    sandbox: Arc<Sandbox>,
    registry: Arc<Registry>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The highest number assigned for each plugin since the host started.
    numbers: BTreeMap<Name, u64>,
    /// The highest number of a plugin whose numbers were dropped; new numbers are above it.
    forgotten: u64,
    newest: BTreeMap<Name, UploadStatus>,
    /// The plugins with failed uploads, oldest first.
    failed: VecDeque<Name>,
    /// Number of uploads whose bytes are in memory.
    pending: usize,
}

/// The status of a plugin's newest upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UploadStatus {
    /// The number of the new generation.
    pub generation: u64,
    /// The phase of the upload.
    pub phase: UploadPhase,
    /// The error, if the upload failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The phase of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UploadPhase {
    /// It is being checked, compiled and tested, or waits for its promotion.
    Compiling,
    /// The generation is active, or was.
    Ready,
    /// The upload failed; the error gives the reason.
    Failed,
}

/// The reason why an upload does not become a generation. Nothing has changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UploadError {
    /// Too many uploads at once.
    #[error("{0} uploads are being compiled or wait for that, the most at once: try again later")]
    Busy(usize),
    /// The configuration is not a JSON object.
    #[error("the configuration of plugin {plugin} must be a JSON object: it is {found}")]
    Configuration {
        /// The plugin.
        plugin: Name,
        /// The type that was found.
        found: String,
    },
    /// The component does not load.
    #[error("plugin {plugin}: {cause}")]
    Load {
        /// The plugin.
        plugin: Name,
        /// The error.
        cause: LoadError,
    },
}

/// The content of an upload.
#[derive(Clone, Debug)]
pub struct Component<'a> {
    /// The component, or a core module with component type information.
    pub bytes: &'a [u8],
    /// The configuration that every call passes to it, a JSON object; null means an empty one.
    pub configuration: Value,
    /// The directories that it may read.
    pub grants: &'a [Grant],
}

/// An upload with a number and a pending slot.
#[derive(Debug)]
pub struct Upload<'a> {
    uploads: &'a Uploads,
    plugin: Name,
    number: u64,
    is_over: bool,
}

/// Finds a stored component by its SHA-256 in hexadecimal.
pub type FindArtefact<'a> = &'a dyn Fn(&str) -> Result<Option<Vec<u8>>, String>;

impl Uploads {
    /// Creates an upload manager for a registry and a sandbox.
    #[must_use]
    pub fn new(sandbox: Arc<Sandbox>, registry: Arc<Registry>) -> Self {
        Self { sandbox, registry, state: Mutex::default() }
    }

    /// Begins an upload. Its number is above all earlier ones of the plugin, also those from before the host
    /// started: `known` is the core's state of the plugin.
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
    /// [`UploadError`] with the reason.
    pub fn load(
        &self,
        plugin: &Name,
        known: Option<&PluginState>,
        component: Component<'_>,
        now: Timestamp,
    ) -> Result<(Loaded, Record), UploadError> {
        self.begin(plugin, known)?.load(component, now)
    }

    /// Records whether the core has promoted a generation. [`Decider::promote`](crate::Decider::promote) has
    /// kept a promoted one; any other is dropped.
    pub fn finish(&self, plugin: &Name, number: u64, outcome: Result<(), String>) {
        self.registry.discard(plugin, number);
        let (phase, error) = match outcome {
            Ok(()) => (UploadPhase::Ready, None),
            Err(error) => (UploadPhase::Failed, Some(error)),
        };
        self.state().set(plugin, number, phase, error);
    }

    /// Removes compiled code of components that are not in `keep`, unless an upload is in progress.
    ///
    /// # Errors
    /// When the cache folder cannot be read or a file cannot be removed.
    pub fn sweep(&self, keep: &BTreeSet<String>) -> std::io::Result<()> {
        if self.is_busy() { Ok(()) } else { self.sandbox.sweep(keep) }
    }

    /// Whether any upload is being compiled or waiting for it.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.state().pending > 0
    }

    /// Drops the upload status of a deleted plugin. Its numbers are not reused.
    pub fn forget(&self, plugin: &Name) {
        self.state().forget(plugin);
    }

    /// Returns the status of a plugin's newest upload since the host started.
    #[must_use]
    pub fn status(&self, plugin: &Name) -> Option<UploadStatus> {
        self.state().newest.get(plugin).cloned()
    }

    /// Loads the core's uploaded plugins after a restart and makes them active. Generations that no longer
    /// load are omitted, and the remaining ones are used; the errors name the omitted ones.
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
            // The missing generation has already been reported.
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

/// A generation that no longer loads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("generation {generation} of plugin {plugin} cannot be restored: {cause}")]
pub struct RestoreError {
    /// The plugin.
    pub plugin: Name,
    /// The generation.
    pub generation: u64,
    /// The reason.
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

    /// Marks an upload as failed. Its generation was never active, so its number is reused if it was the
    /// last.
    fn fail(&mut self, plugin: &Name, number: u64, error: String) {
        if let Some(highest) = self.numbers.get_mut(plugin).filter(|highest| **highest == number) {
            *highest = number.saturating_sub(1);
        }
        self.set(plugin, number, UploadPhase::Failed, Some(error));
    }

    /// Bounds the remembered failures, because clients can upload under any name.
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
    /// Returns the number of the new generation.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Checks, compiles and tests the upload. This may take minutes and belongs on its own thread. The caller
    /// stores the bytes, requests the promotion of the record from the core, and then calls
    /// [`Uploads::finish`].
    ///
    /// # Errors
    /// [`UploadError`] with the reason.
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

/// The configuration text that every call of a generation gets.
fn configuration(value: &Value) -> String {
    match value {
        Value::Object(_) => value.to_string(),
        _ => "{}".to_owned(),
    }
}
