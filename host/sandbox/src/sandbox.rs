use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use cap_std::{ambient_authority, fs::Dir};
use wasmtime::component::Component;

use crate::{
    cache::Cache,
    compile::Compiler,
    configuration::{self, ConfigurationError},
    conformance, description,
    digest::Digest,
    error::{LoadError, Refusal},
    generation::{Exports, Generation, link},
    grant::Grant,
    inspect::{Inspection, check_header},
    limits::Limits,
    metadata::Description,
    runtime::Runtime,
    semaphore::Semaphore,
};

/// The options of a sandbox.
#[derive(Clone, Debug)]
pub struct Options {
    /// The limits of plugins.
    pub limits: Limits,
    /// Where components are compiled.
    pub compiler: Compiler,
    /// The folder for compiled code, private to this user. `None` disables the cache.
    pub cache: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { limits: Limits::default(), compiler: Compiler::InProcess, cache: None }
    }
}

/// Loads plugins and owns the runtime of their instances.
pub struct Sandbox {
    runtime: Arc<Runtime>,
    compiler: Compiler,
    cache: Option<Cache>,
    /// Limits concurrent compilations, so that a large upload does not block small ones.
    compiles: Semaphore,
}

/// The parameters of a load.
#[derive(Clone, Copy, Debug)]
pub struct Load<'a> {
    /// The plugin's name.
    pub plugin: &'a str,
    /// The number of the new generation.
    pub generation: u64,
    /// The component, or a core module with component type information.
    pub bytes: &'a [u8],
    /// The configuration that every call gets: a JSON document of at most 64 KiB that matches the plugin's
    /// schema.
    pub configuration: &'a str,
    /// The directories that it may read.
    pub grants: &'a [Grant],
}

impl Sandbox {
    /// Sets up the engine, the pool and the cache.
    ///
    /// # Errors
    /// [`LoadError::Host`] when the machine does not support them.
    pub fn new(options: Options) -> Result<Self, LoadError> {
        let Options { limits, compiler, cache } = options;
        let runtime =
            Runtime::new(limits).map_err(|error| LoadError::Host(format!("{error:#}")))?;
        let cache = cache
            .map(|path| {
                Cache::open(&path, &runtime.engine).map_err(|error| {
                    let path = path.display();
                    LoadError::Host(format!("the cache {path} cannot be opened: {error}"))
                })
            })
            .transpose()?;
        Ok(Self { runtime: Arc::new(runtime), compiler, cache, compiles: Semaphore::new(2) })
    }

    /// Returns the limits of plugins.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.runtime.limits
    }

    /// Checks, compiles and tests an upload; compiled code may come from the cache. This may take many
    /// seconds and belongs on its own thread. The thread must live until the end, because the compile worker
    /// ends with it.
    ///
    /// # Errors
    /// [`LoadError`] with the reason; nothing has changed.
    pub fn load(&self, load: Load<'_>) -> Result<Generation, LoadError> {
        check_header(load.bytes, &self.runtime.limits)?;
        let configuration = configuration::parse(load.configuration)?;
        load.grants.iter().try_for_each(check_grant)?;
        let digest = Digest::of(load.bytes);
        let component = self.component(&digest, load.bytes)?;
        let Inspection { roles, wasi, .. } =
            Inspection::of_compiled(&component, &self.runtime.engine, load.bytes)?;
        let pre = link(&self.runtime, &component, wasi)?;
        let exports = Exports::find(&pre, &roles)?;
        let mut generation = Generation {
            plugin: load.plugin.to_owned(),
            number: load.generation,
            digest,
            size: load.bytes.len(),
            roles,
            description: Description {
                name: String::new(),
                version: String::new(),
                summary: String::new(),
                configuration_schema: String::new(),
            },
            configuration: load.configuration.to_owned(),
            grants: load.grants.to_vec(),
            wasi,
            is_preferred: false,
            pre,
            exports,
            runtime: Arc::clone(&self.runtime),
        };
        generation.description = generation.describe()?;
        description::check(&generation.description, &configuration)?;
        generation.validate_configuration()?.map_err(ConfigurationError::Refused)?;
        conformance::check(&generation)?;
        Ok(generation)
    }

    fn compile(&self, upload: &[u8]) -> Result<Vec<u8>, LoadError> {
        let limits = &self.runtime.limits;
        let patience = limits.compile_time();
        let _permit =
            self.compiles.acquire(patience).ok_or(LoadError::CompileTime { limit: patience })?;
        self.compiler.compile(upload, limits, self.cache.as_ref().map(Cache::path))
    }

    fn component(&self, digest: &Digest, upload: &[u8]) -> Result<Component, LoadError> {
        let engine = &self.runtime.engine;
        // Wasmtime has no error type for a component that does not fit into the instance pool, so check the
        // text.
        let unusable = |error: wasmtime::Error| match format!("{error:#}") {
            text if text.contains("pooling allocator") => {
                LoadError::Refused(Refusal::TooDemanding(text))
            }
            text => LoadError::Host(format!("compiled code: {text}")),
        };
        let Some(cache) = &self.cache else {
            let compiled = self.compile(upload)?;
            // SAFETY: the bytes are what this host's own compiler has just returned.
            #[expect(unsafe_code)]
            return unsafe { Component::deserialize(engine, compiled) }.map_err(unusable);
        };
        let file = match cache.find(digest) {
            Some(file) => file,
            None => {
                let compiled = self.compile(upload)?;
                cache
                    .insert(digest, &compiled)
                    .map_err(|error| LoadError::Host(format!("the cache: {error}")))?
            }
        };
        // SAFETY: the file lies in a folder that only this user can write, was written there by this
        // host's own compiler, and its content has the digest it was stored under.
        #[expect(unsafe_code)]
        unsafe { Component::deserialize_file(engine, &file) }.map_err(unusable)
    }

    /// Removes code compiled from components whose digests are not in `keep`.
    ///
    /// # Errors
    /// When the folder cannot be read or a file cannot be removed.
    pub fn sweep(&self, keep: &BTreeSet<String>) -> std::io::Result<()> {
        self.cache.as_ref().map_or(Ok(()), |cache| cache.sweep(keep))
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox")
            .field("limits", &self.runtime.limits)
            .field("compiler", &self.compiler)
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}

/// Checks a granted directory now, so that a missing one is reported at the grant and not at its first use.
fn check_grant(grant: &Grant) -> Result<(), LoadError> {
    let wrong = |cause: String| LoadError::Grant { path: grant.host.clone(), cause };
    if !grant.guest.starts_with('/') {
        return Err(wrong(format!("its path in the guest, {:?}, must begin with /", grant.guest)));
    }
    Dir::open_ambient_dir(&grant.host, ambient_authority())
        .map(drop)
        .map_err(|error| wrong(error.to_string()))
}
