//! Loading, rolling back and deleting plugins.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use haggle_control::{Answer, Input, PluginChange, Principal};
use haggle_model::{Name, Timestamp};
use haggle_plugins::{Component, Loaded, UploadPhase, UploadStatus};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::oneshot;
use utoipa::ToSchema;

use crate::{HostError, block_on::block_on, host::Host};

/// A plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PluginView {
    /// Its name.
    pub name: Name,
    /// Whether the plugin is built in.
    pub built_in: bool,
    /// A notice for users of the plugin: an upload replaces the built-in plugin of that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
    /// The active generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<GenerationView>,
    /// The generation to which a rollback returns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<GenerationView>,
    /// The newest upload since the host started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<LoadStatus>,
    /// The last error of a call since the host started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastErrorView>,
}

/// A generation of a plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GenerationView {
    /// Its number, from 1.
    pub generation: u64,
    /// SHA-256 of the component, in hexadecimal.
    pub digest: String,
    /// Size of the component, in bytes.
    pub size: u64,
    /// The roles that it exports.
    pub roles: Vec<String>,
    /// The name in its own description.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it does.
    pub summary: String,
    /// The JSON schema of its configurations.
    pub configuration_schema: Value,
    /// The configuration that every call passes to the plugin.
    pub configuration: Value,
}

/// The status of a plugin's newest upload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LoadStatus {
    /// The number of the new generation.
    pub generation: u64,
    /// The progress of the upload.
    pub status: LoadState,
    /// The error, if the upload failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The progress of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoadState {
    /// The host checks, compiles and tests it.
    Compiling,
    /// The upload failed; the error gives the reason.
    Failed,
    /// The generation is active, or was.
    Ready,
}

/// The last error of a plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LastErrorView {
    /// When the call was made.
    pub at: Timestamp,
    /// The generation that failed.
    pub generation: u64,
    /// The function that was called, such as `forecasting.forecast`.
    pub function: String,
    /// The error message.
    pub message: String,
}

/// An upload that is being compiled and tested.
#[derive(Debug)]
pub struct PluginLoad(Option<oneshot::Receiver<Result<PluginView, HostError>>>);

impl PluginLoad {
    /// Waits for the result, at most `patience`; `None` while the compilation continues. The result is
    /// returned once.
    pub async fn wait(&mut self, patience: Duration) -> Option<Result<PluginView, HostError>> {
        let outcome = self.0.as_mut()?;
        match tokio::time::timeout(patience, outcome).await {
            Ok(outcome) => {
                self.0 = None;
                let lost = || HostError::Task("the upload was not finished".to_owned());
                Some(outcome.unwrap_or_else(|_| Err(lost())))
            }
            Err(_) => None,
        }
    }

    /// Waits for the result, blocking the thread.
    ///
    /// # Errors
    /// The reason why the upload failed.
    pub fn finish(self) -> Result<PluginView, HostError> {
        let lost = || HostError::Task("the upload was not finished".to_owned());
        let outcome = self.0.ok_or_else(lost)?;
        block_on(outcome).map_err(|_| lost())?
    }
}

impl Host {
    /// Accepts an upload: checks, compiles and tests it on its own thread, and then makes the new generation
    /// active. If a step fails, nothing changes.
    ///
    /// # Errors
    /// [`HostError::Plugin`] when too many uploads are being compiled.
    pub async fn load_plugin(
        self: &Arc<Self>,
        by: Principal,
        name: &Name,
        bytes: Vec<u8>,
        configuration: Option<Value>,
    ) -> Result<PluginLoad, HostError> {
        let (sender, receiver) = oneshot::channel();
        let (begun, is_begun) = oneshot::channel();
        let (host, plugin) = (Arc::clone(self), name.clone());
        let work = move || {
            let known = host.snapshot();
            let upload = match host.shared().plugins.uploads.begin(&plugin, known.plugin(&plugin)) {
                Ok(upload) => upload,
                Err(error) => {
                    drop(begun.send(Err(HostError::from(error))));
                    return;
                }
            };
            drop(begun.send(Ok(())));
            let number = upload.number();
            let granted = host.shared().grants.get(&plugin).cloned().unwrap_or_default();
            let configuration = configuration.unwrap_or(Value::Null);
            let component = Component { bytes: &bytes, configuration, grants: &granted };
            let outcome = upload.load(component, host.now()).map_err(HostError::from).and_then(
                |(_, record)| {
                    host.shared().store.artefacts().put(&bytes)?;
                    let before = host.notice(&plugin);
                    let change = PluginChange::Promote(Arc::new(record));
                    let answer = block_on(host.change_plugin(by, change))?;
                    if let Some(notice) = host.notice(&plugin).filter(|_| before.is_none()) {
                        host.shared().alert(plugin.as_str(), notice);
                    }
                    host.load_again(&plugin);
                    Ok(answer)
                },
            );
            let told = outcome.as_ref().map(drop).map_err(ToString::to_string);
            host.shared().plugins.uploads.finish(&plugin, number, told);
            // The uploading client may have disconnected.
            drop(sender.send(outcome.and_then(|_| host.plugin(&plugin))));
        };
        std::thread::Builder::new()
            .name(format!("load {name}"))
            .spawn(work)
            .map_err(|error| HostError::Task(error.to_string()))?;
        let lost = |_| HostError::Task("the upload was not begun".to_owned());
        is_begun.await.map_err(lost)??;
        Ok(PluginLoad(Some(receiver)))
    }

    /// Returns a plugin.
    ///
    /// # Errors
    /// [`ControlError::NotFound`](haggle_control::ControlError::NotFound).
    pub fn plugin(&self, name: &Name) -> Result<PluginView, HostError> {
        let plugins = &self.shared().plugins;
        let current = plugins.registry.current(name);
        let load = plugins.uploads.status(name);
        let snapshot = self.snapshot();
        let known = snapshot.plugin(name);
        let is_known = known.is_some_and(|it| it.current.is_some() || it.previous.is_some());
        if current.is_none() && load.is_none() && !is_known {
            return Err(HostError::not_found("plugin", name));
        }
        let last_error = plugins.decider.last_error(name);
        Ok(PluginView {
            name: name.clone(),
            built_in: plugins.registry.built_in_of(name).is_some(),
            notice: self.notice(name),
            current: current.map(|loaded| view(&loaded)),
            previous: plugins.registry.previous(name).map(|loaded| view(&loaded)),
            load: load.map(status),
            last_error: last_error.map(|error| LastErrorView {
                at: error.at,
                generation: error.generation,
                function: error.function.to_owned(),
                message: error.message,
            }),
        })
    }

    /// Returns all plugins, ordered by name.
    #[must_use]
    pub fn plugins(&self) -> Vec<PluginView> {
        let snapshot = self.snapshot();
        let deciding = snapshot.plugins().filter(|(_, known)| known.current.is_some());
        let mut names: BTreeSet<Name> = deciding.map(|(name, _)| name.clone()).collect();
        names.extend(self.shared().plugins.registry.list().into_keys());
        names.iter().filter_map(|name| self.plugin(name).ok()).collect()
    }

    /// Makes the previous generation active again.
    ///
    /// # Errors
    /// [`ControlError::NoPrevious`](haggle_control::ControlError::NoPrevious) when there is none.
    pub async fn rollback_plugin(
        &self,
        by: Principal,
        name: &Name,
    ) -> Result<PluginView, HostError> {
        let snapshot = self.snapshot();
        let back = snapshot.plugin(name).and_then(|known| known.previous.as_ref());
        if let Some(back) = back.filter(|_| self.shared().plugins.registry.previous(name).is_none())
        {
            return Err(HostError::NotLoaded { plugin: name.clone(), generation: back.number });
        }
        self.change_plugin(by, PluginChange::RollBack(name.clone())).await?;
        self.plugin(name)
    }

    /// Deletes a plugin. If it replaced a built-in plugin, that one becomes active again.
    ///
    /// # Errors
    /// [`HostError::Control`] when the plugin does not exist, is in use, or is built in.
    pub async fn delete_plugin(&self, by: Principal, name: &Name) -> Result<(), HostError> {
        self.change_plugin(by, PluginChange::Delete(name.clone())).await?;
        self.shared().plugins.uploads.forget(name);
        Ok(())
    }

    /// Returns a notice if an upload replaces a built-in plugin.
    fn notice(&self, name: &Name) -> Option<String> {
        let registry = &self.shared().plugins.registry;
        registry.built_in_of(name)?;
        let current = registry.current(name).filter(|current| !registry.is_built_in(current))?;
        let number = current.who.generation;
        Some(format!(
            "generation {number} of plugin {name} was uploaded and decides in place of the built-in {name} \
             wherever {name} is named: delete plugin {name} to have the built-in one decide again"
        ))
    }

    /// Repairs a component that was damaged on disk, after an upload that equals the active generation.
    /// Nothing else changes.
    fn load_again(&self, name: &Name) {
        let snapshot = self.snapshot();
        let Some(known) = snapshot.plugin(name) else { return };
        let Some(current) = &known.current else { return };
        let loaded = self.shared().plugins.registry.current(name);
        if loaded.is_none_or(|loaded| loaded.who.generation != current.number) {
            let alert = &mut |what| self.shared().alert("plugins", what);
            self.shared().plugins.restore([(name, known)], &self.shared().store, alert);
        }
    }

    async fn change_plugin(
        &self,
        _by: Principal,
        change: PluginChange,
    ) -> Result<Answer, HostError> {
        self.ask(move |caller| Input::Plugin { caller, change }).await
    }
}

fn status(status: UploadStatus) -> LoadStatus {
    let UploadStatus { generation, phase, error } = status;
    let status = match phase {
        UploadPhase::Compiling => LoadState::Compiling,
        UploadPhase::Ready => LoadState::Ready,
        UploadPhase::Failed => LoadState::Failed,
    };
    LoadStatus { generation, status, error }
}

fn view(loaded: &Loaded) -> GenerationView {
    let json = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
    let generation = &loaded.generation;
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
