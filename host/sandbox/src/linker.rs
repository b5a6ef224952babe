//! What a component may import: `log`, the meter that was built into it, and the virtual WASI.

use std::time::Instant;

use haggle_metering::{METER, SHOW};
use wasmtime::{
    Engine, StoreContextMut,
    component::{HasData, Linker},
};
use wasmtime_wasi::p2::{self, bindings::clocks::monotonic_clock};

use crate::{contract::log, state::State, wasi::VirtualWasi};

/// Links `log` and the meter.
pub(crate) fn pure(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    log::add_to_linker::<State, State>(&mut linker, |state| state)?;
    linker.instance(METER)?.func_wrap(
        SHOW,
        |mut store: StoreContextMut<'_, State>, (count,): (i64,)| {
            let limit = store.data_mut().meter.show(count, Instant::now());
            limit.map(|limit| (limit,)).map_err(wasmtime::Error::new)
        },
    )?;
    Ok(linker)
}

/// The same and WASI 0.2, with the virtual clock in place of the real one.
pub(crate) fn with_wasi(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = pure(engine)?;
    p2::add_to_linker_async(&mut linker)?;
    linker.allow_shadowing(true);
    monotonic_clock::add_to_linker::<State, HasWasi>(&mut linker, State::wasi)?;
    linker.allow_shadowing(false);
    Ok(linker)
}

struct HasWasi;

impl HasData for HasWasi {
    type Data<'a> = &'a mut VirtualWasi;
}

#[cfg(test)]
mod metered;
