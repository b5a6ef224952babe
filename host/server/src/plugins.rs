use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver},
    },
    time::Duration,
};

use haggle_builtin::BUILTIN;
use haggle_model::Name;
use haggle_sandbox::{Generation, Role, inspect};
use haggle_store::{Batch, Plugins};
use serde_json::Value;

use crate::{
    documents::catalog::not_found,
    error::HostError,
    events::EventKind,
    host::Host,
    plugins::generations::records,
    views::{GenerationView, LoadState, LoadStatus, PluginSettings, PluginView},
};

pub(crate) mod decider;
mod generations;

/// The newest upload of each plugin since the host started, and the highest number given out.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    pub(crate) numbers: BTreeMap<Name, u64>,
    latest: BTreeMap<Name, LoadStatus>,
    /// Those whose bytes are in memory, because they are being compiled or wait for that.
    pending: usize,
}

/// So many uploads are compiled or wait for that at the same time; more would only fill the memory.
const MOST_PENDING: usize = 8;

impl Uploads {
    fn begin(&mut self) -> Result<(), HostError> {
        if self.pending >= MOST_PENDING {
            return Err(HostError::Uploads(self.pending));
        }
        self.pending += 1;
        Ok(())
    }
}

/// An upload that is being compiled and tried out.
#[derive(Debug)]
pub struct PluginLoad(Mutex<Receiver<Result<PluginView, HostError>>>);

impl PluginLoad {
    /// Waits for the outcome, at most so long; none while it is still being compiled. The outcome is
    /// given once.
    pub fn wait(&self, patience: Duration) -> Option<Result<PluginView, HostError>> {
        let receiver = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match receiver.recv_timeout(patience) {
            Ok(outcome) => Some(outcome),
            Err(mpsc::RecvTimeoutError::Timeout) => None,
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                Some(Err(HostError::Task("the upload was not finished".to_owned())))
            }
        }
    }
}

impl Host {
    /// Takes an upload: checks the bytes at once, then compiles and tries them out on a thread of its own
    /// and has the new generation decide. Nothing changes if any of that fails.
    ///
    /// # Errors
    /// [`HostError`] saying what is wrong with name, configuration or bytes.
    pub fn begin_plugin(
        self: &Arc<Self>,
        name: &Name,
        bytes: Vec<u8>,
        settings: PluginSettings,
    ) -> Result<PluginLoad, HostError> {
        let configuration = configuration(name, settings.configuration)?;
        inspect(&bytes, self.sandbox.limits()).map_err(|cause| refused(name, cause))?;
        self.uploads().begin()?;
        let generation = self.next_generation(name);
        self.set_load(name, generation, LoadState::Compiling, None);
        let (sender, receiver) = mpsc::channel();
        let (host, plugin) = (Arc::clone(self), name.clone());
        let spawned = std::thread::Builder::new().name(format!("load {name}")).spawn(move || {
            let outcome = host.load_plugin(&plugin, generation, &bytes, &configuration);
            host.uploads().pending -= 1;
            if let Err(error) = &outcome {
                host.set_load(&plugin, generation, LoadState::Failed, Some(error.to_string()));
            }
            // Whoever uploaded may have gone away.
            drop(sender.send(outcome));
        });
        if let Err(error) = spawned {
            self.uploads().pending -= 1;
            return Err(HostError::Task(error.to_string()));
        }
        Ok(PluginLoad(Mutex::new(receiver)))
    }

    /// The newest upload of a plugin since the host started.
    #[must_use]
    pub fn plugin_load(&self, name: &Name) -> Option<LoadStatus> {
        self.uploads().latest.get(name).cloned()
    }

    /// A plugin.
    ///
    /// # Errors
    /// [`HostError::NotFound`].
    pub fn plugin(&self, name: &Name) -> Result<PluginView, HostError> {
        let current = self.decider.registry.current(name.as_str());
        let load = self.plugin_load(name);
        if current.is_none() && load.is_none() {
            return Err(not_found("plugin", name));
        }
        Ok(PluginView {
            name: name.clone(),
            built_in: is_built_in(name),
            current: current.map(|generation| view(&generation)),
            previous: self.decider.registry.previous(name.as_str()).map(|old| view(&old)),
            load,
        })
    }

    /// All plugins by name.
    #[must_use]
    pub fn plugins(&self) -> Vec<PluginView> {
        let list = self.decider.registry.list();
        let names = list.iter().filter_map(|(current, _)| Name::new(current.plugin()).ok());
        names.filter_map(|name| self.plugin(&name).ok()).collect()
    }

    /// Has the generation before decide again.
    ///
    /// # Errors
    /// [`HostError::Registry`] where there is none.
    pub fn rollback_plugin(&self, name: &Name) -> Result<PluginView, HostError> {
        let _changing = self.changing();
        let back = self.decider.registry.rollback(name.as_str())?;
        if let Err(error) = self.store_standings(name) {
            // What is not durable must not decide.
            drop(self.decider.registry.rollback(name.as_str()));
            return Err(error);
        }
        let message = format!("plugin {name} is back at generation {}", back.number());
        self.emit(EventKind::Plugin, name.as_str(), message, Value::Null);
        self.plugin(name)
    }

    /// Deletes a plugin; a built-in one that was loaded over is back then.
    ///
    /// # Errors
    /// [`HostError::NotFound`], [`HostError::InUse`] while a policy or provider names it,
    /// [`HostError::BuiltIn`].
    pub fn delete_plugin(&self, name: &Name) -> Result<(), HostError> {
        let _changing = self.changing();
        let current = self.decider.registry.current(name.as_str());
        let current = current.ok_or_else(|| not_found("plugin", name))?;
        let built_in = self.built_in(name);
        match &built_in {
            Some(built_in) if Arc::ptr_eq(built_in, &current) => {
                return Err(HostError::BuiltIn(name.to_string()));
            }
            Some(_) => {}
            None => self.check_unused(name)?,
        }
        if let Some(store) = self.persistence.store() {
            let mut batch = Batch::new();
            for record in records(store, name)? {
                batch.delete::<Plugins>(&(name.clone(), record.generation))?;
            }
            self.persistence.commit(batch)?;
        }
        self.decider.registry.remove(name.as_str())?;
        if let Some(built_in) = built_in {
            self.decider.registry.restore(built_in, None);
        }
        self.uploads().latest.remove(name);
        self.emit(EventKind::Plugin, name.as_str(), format!("plugin {name} deleted"), Value::Null);
        Ok(())
    }

    fn load_plugin(
        &self,
        name: &Name,
        number: u64,
        bytes: &[u8],
        configuration: &str,
    ) -> Result<PluginView, HostError> {
        let generation = self.load_generation(name, number, bytes, configuration)?;
        let _changing = self.changing();
        if let Some(store) = self.persistence.store() {
            store.artefacts().put(bytes)?;
        }
        let roles = list(generation.roles());
        self.decider.registry.promote(generation)?;
        if let Err(error) = self.store_standings(name) {
            // What is not durable must not decide.
            drop(self.decider.registry.rollback(name.as_str()));
            return Err(error);
        }
        let message = format!("plugin {name} generation {number} decides: {roles}");
        self.emit(EventKind::Plugin, name.as_str(), message, Value::Null);
        self.set_load(name, number, LoadState::Ready, None);
        self.plugin(name)
    }

    fn check_unused(&self, name: &Name) -> Result<(), HostError> {
        let catalog = self.catalog();
        let by_policy = catalog.policies.values().find(|policy| {
            [
                &policy.forecast.plugin,
                &policy.failure.plugin,
                &policy.bidding.plugin,
                &policy.tiering.plugin,
            ]
            .contains(&name)
        });
        let by_provider =
            catalog.providers.values().find(|provider| provider.bidding.as_ref() == Some(name));
        let by = by_policy
            .map(|policy| format!("policy {}", policy.name))
            .or_else(|| by_provider.map(|provider| format!("provider {}", provider.name)));
        match by {
            Some(by) => Err(HostError::InUse { what: "plugin", name: name.to_string(), by }),
            None => Ok(()),
        }
    }

    fn next_generation(&self, name: &Name) -> u64 {
        let decides = self.decider.registry.current(name.as_str()).map_or(0, |g| g.number());
        let mut uploads = self.uploads();
        let highest = uploads.numbers.entry(name.clone()).or_default();
        *highest = decides.max(*highest) + 1;
        *highest
    }

    fn set_load(&self, name: &Name, generation: u64, status: LoadState, error: Option<String>) {
        let mut uploads = self.uploads();
        let newer = uploads.latest.get(name).is_some_and(|latest| latest.generation > generation);
        if !newer {
            uploads.latest.insert(name.clone(), LoadStatus { generation, status, error });
        }
    }
}

fn configuration(plugin: &Name, given: Option<Value>) -> Result<String, HostError> {
    match given {
        None => Ok("{}".to_owned()),
        Some(object @ Value::Object(_)) => Ok(object.to_string()),
        Some(other) => Err(HostError::Configuration {
            plugin: plugin.to_string(),
            cause: format!("it is {other}"),
        }),
    }
}

fn is_built_in(name: &Name) -> bool {
    BUILTIN.iter().any(|builtin| builtin.name == name.as_str())
}

fn refused(name: &Name, cause: haggle_sandbox::LoadError) -> HostError {
    HostError::Load { plugin: name.to_string(), cause }
}

fn list(roles: &std::collections::BTreeSet<Role>) -> String {
    roles.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn view(generation: &Generation) -> GenerationView {
    let json = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
    let description = generation.description();
    GenerationView {
        generation: generation.number(),
        digest: generation.digest().to_string(),
        size: generation.size() as u64,
        roles: generation.roles().iter().map(ToString::to_string).collect(),
        name: description.name.clone(),
        version: description.version.clone(),
        summary: description.summary.clone(),
        configuration_schema: json(&description.configuration_schema),
        configuration: json(generation.configuration()),
    }
}
