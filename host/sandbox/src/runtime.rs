use wasmtime::{Engine, component::Linker};

use crate::{engine, limits::Limits, linker, semaphore::Semaphore, state::State};

/// The runtime shared by all generations.
pub(crate) struct Runtime {
    pub(crate) engine: Engine,
    pub(crate) limits: Limits,
    pub(crate) instances: Semaphore,
    /// Offers only `log`.
    pure: Linker<State>,
    /// Also offers the virtual WASI.
    wasi: Linker<State>,
}

impl Runtime {
    pub(crate) fn new(limits: Limits) -> wasmtime::Result<Self> {
        let engine = engine::engine(&limits)?;
        let pure = linker::pure(&engine)?;
        let with_wasi = linker::with_wasi(&engine)?;
        let instances = Semaphore::new(limits.instances.max(1));
        Ok(Self { engine, limits, instances, pure, wasi: with_wasi })
    }

    pub(crate) const fn linker(&self, wasi: bool) -> &Linker<State> {
        if wasi { &self.wasi } else { &self.pure }
    }
}
