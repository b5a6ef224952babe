//! A deterministic WASI 0.2: the clock shows the time of the decision, random numbers come from the call's
//! seed, and there are no network, environment, arguments, input, or directories other than the granted ones.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chacha20::{ChaCha8Rng, rand_core::SeedableRng};
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::{
    FsPerms, HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView,
    p2::{DynPollable, Pollable, bindings::clocks::monotonic_clock, subscribe},
};

use crate::{grant::Grant, output::Output};

/// The WASI state of one call, created only for guests that import WASI.
pub(crate) struct VirtualWasi {
    table: ResourceTable,
    ctx: WasiCtx,
    clock: VirtualClock,
    output: Output,
}

/// A monotonic clock that advances only when the guest sleeps. It starts above 0, because some runtimes
/// (Go's) treat 0 as a broken clock.
#[derive(Clone)]
struct VirtualClock(Arc<AtomicU64>);

/// The initial value of the monotonic clock, in nanoseconds: 1 s.
const BEGINNING: u64 = 1_000_000_000;

struct FrozenWallClock(Duration);

/// A sleep that ends at once; the clock has been advanced instead.
struct Elapsed;

impl VirtualWasi {
    /// For a guest that does not import WASI: required by the linker's types, never used.
    pub(crate) fn none() -> Self {
        Self::with(WasiCtx::builder().build(), VirtualClock::new(), Output::default())
    }

    /// Creates the state at `now` (milliseconds since the Unix epoch), with random numbers from `seed`.
    pub(crate) fn new(now: u64, seed: u64, grants: &[Grant]) -> wasmtime::Result<Self> {
        let clock = VirtualClock::new();
        let output = Output::default();
        let mut builder = WasiCtx::builder();
        builder
            .wall_clock(FrozenWallClock(Duration::from_millis(now)))
            .monotonic_clock(clock.clone())
            .stdout(output.clone())
            .stderr(output.clone())
            .secure_random(ChaCha8Rng::seed_from_u64(seed))
            .insecure_random(ChaCha8Rng::seed_from_u64(seed ^ u64::MAX))
            .insecure_random_seed(u128::from(seed))
            .max_random_size(1 << 20)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            // Calls run on their own threads, so a read may block.
            .allow_blocking_current_thread(true);
        for Grant { host, guest } in grants {
            builder.preopened_dir(PathBuf::from(host), guest, FsPerms::ReadOnly)?;
        }
        Ok(Self::with(builder.build(), clock, output))
    }

    pub(crate) fn view(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.ctx, table: &mut self.table }
    }

    /// Returns the end of the guest's standard output and standard error.
    pub(crate) fn output(&self) -> String {
        self.output.text()
    }

    fn with(ctx: WasiCtx, clock: VirtualClock, output: Output) -> Self {
        Self { table: ResourceTable::new(), ctx, clock, output }
    }
}

impl monotonic_clock::Host for VirtualWasi {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.clock.nanos())
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.clock.0.fetch_max(when, Ordering::Relaxed);
        self.elapsed()
    }

    fn subscribe_duration(&mut self, duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let when = self.clock.nanos().saturating_add(duration);
        self.subscribe_instant(when)
    }
}

impl VirtualWasi {
    fn elapsed(&mut self) -> wasmtime::Result<Resource<DynPollable>> {
        let elapsed = self.table.push(Elapsed)?;
        subscribe(&mut self.table, elapsed)
    }
}

impl VirtualClock {
    fn new() -> Self {
        Self(Arc::new(AtomicU64::new(BEGINNING)))
    }

    fn nanos(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl HostMonotonicClock for VirtualClock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        self.nanos()
    }
}

impl HostWallClock for FrozenWallClock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        self.0
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Elapsed {
    async fn ready(&mut self) {}
}

#[cfg(test)]
mod tests {
    use wasmtime_wasi::{
        cli::WasiCliCtxView,
        p2::bindings::cli::{stderr::Host as _, stdout::Host as _},
    };

    use super::{VirtualWasi, monotonic_clock::Host as _};

    #[test]
    fn what_is_written_to_both_streams_is_kept_in_its_order() {
        let mut wasi = VirtualWasi::new(0, 0, &[]).unwrap();
        let view = wasi.view();
        let mut cli = WasiCliCtxView { ctx: view.ctx.cli(), table: view.table };
        let (out, err) = (cli.get_stdout().unwrap(), cli.get_stderr().unwrap());
        for (stream, text) in [(&out, "one "), (&err, "two "), (&out, "three")] {
            cli.table.get_mut(stream).unwrap().write(text.into()).unwrap();
        }
        assert_eq!(wasi.output(), "one two three");
    }

    #[test]
    fn the_clock_begins_above_0_and_moves_only_by_sleeping() {
        let mut wasi = VirtualWasi::new(0, 0, &[]).unwrap();
        assert_eq!(wasi.now().unwrap(), 1_000_000_000);
        assert_eq!(wasi.now().unwrap(), 1_000_000_000);
        wasi.subscribe_duration(5).unwrap();
        assert_eq!(wasi.now().unwrap(), 1_000_000_005);
        wasi.subscribe_instant(7).unwrap();
        assert_eq!(wasi.now().unwrap(), 1_000_000_005);
    }
}
