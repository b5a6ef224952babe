use std::{collections::BTreeSet, sync::Arc};

use wasmtime::component::{Component, InstancePre};

use crate::{
    answering,
    digest::Digest,
    error::{LoadError, Refusal},
    failure_prediction, forecasting,
    grant::Grant,
    metadata::{self, Description},
    ranking,
    role::Role,
    runtime::Runtime,
    selling,
    state::State,
    tiering,
};

/// One compiled upload of a plugin. It is immutable; a new upload creates a new generation.
pub struct Generation {
    pub(crate) plugin: String,
    pub(crate) number: u64,
    pub(crate) digest: Digest,
    pub(crate) size: usize,
    pub(crate) roles: BTreeSet<Role>,
    pub(crate) description: Description,
    pub(crate) configuration: String,
    pub(crate) grants: Vec<Grant>,
    pub(crate) wasi: bool,
    /// Whether it may use the instances that are reserved for built-in plugins.
    pub(crate) is_preferred: bool,
    pub(crate) pre: InstancePre<State>,
    pub(crate) exports: Exports,
    pub(crate) runtime: Arc<Runtime>,
}

/// The lookup indices of each exported interface.
pub(crate) struct Exports {
    pub(crate) metadata: metadata::GuestIndices,
    pub(crate) forecasting: Option<forecasting::GuestIndices>,
    pub(crate) failure_prediction: Option<failure_prediction::GuestIndices>,
    pub(crate) answering: Option<answering::GuestIndices>,
    pub(crate) selling: Option<selling::GuestIndices>,
    pub(crate) ranking: Option<ranking::GuestIndices>,
    pub(crate) tiering: Option<tiering::GuestIndices>,
}

impl Exports {
    /// Looks up the interfaces of the roles and checks their types against the contract.
    pub(crate) fn find(
        pre: &InstancePre<State>,
        roles: &BTreeSet<Role>,
    ) -> Result<Self, LoadError> {
        fn role<T>(
            roles: &BTreeSet<Role>,
            role: Role,
            find: impl FnOnce() -> wasmtime::Result<T>,
        ) -> Result<Option<T>, LoadError> {
            let mismatch = |error| LoadError::Mismatch { role, cause: format!("{error:#}") };
            roles.contains(&role).then(find).transpose().map_err(mismatch)
        }
        Ok(Self {
            metadata: metadata::GuestIndices::new(pre).map_err(|_| Refusal::NoMetadata)?,
            forecasting: role(roles, Role::Forecasting, || forecasting::GuestIndices::new(pre))?,
            failure_prediction: role(roles, Role::FailurePrediction, || {
                failure_prediction::GuestIndices::new(pre)
            })?,
            answering: role(roles, Role::Answering, || answering::GuestIndices::new(pre))?,
            selling: role(roles, Role::Selling, || selling::GuestIndices::new(pre))?,
            ranking: role(roles, Role::Ranking, || ranking::GuestIndices::new(pre))?,
            tiering: role(roles, Role::Tiering, || tiering::GuestIndices::new(pre))?,
        })
    }
}

impl Generation {
    /// Returns the plugin's name, as the operator gave it.
    #[must_use]
    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// Returns the generation's number, which counts the plugin's uploads from 1.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Returns the digest of the uploaded bytes.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns the size of the upload, in bytes.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }

    /// Returns the roles.
    #[must_use]
    pub const fn roles(&self) -> &BTreeSet<Role> {
        &self.roles
    }

    /// Returns the plugin's description of itself.
    #[must_use]
    pub const fn description(&self) -> &Description {
        &self.description
    }

    /// Returns the configuration that every call gets: a JSON document.
    #[must_use]
    pub fn configuration(&self) -> &str {
        &self.configuration
    }

    /// Allows the use of the reserved instances: a quarter of
    /// [`Limits::instances`](crate::Limits::instances). It is for the built-in plugins, the fallback for
    /// plugins that do not return.
    #[must_use]
    pub fn preferred(mut self) -> Self {
        self.is_preferred = true;
        self
    }

    /// Returns the directories that it may read.
    #[must_use]
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }
}

impl std::fmt::Debug for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generation")
            .field("plugin", &self.plugin)
            .field("number", &self.number)
            .field("digest", &self.digest)
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}

/// Links a component without running it.
pub(crate) fn link(
    runtime: &Runtime,
    component: &Component,
    wasi: bool,
) -> Result<InstancePre<State>, LoadError> {
    runtime
        .linker(wasi)
        .instantiate_pre(component)
        .map_err(|error| LoadError::Import(format!("{error:#}")))
}
