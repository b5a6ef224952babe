//! Durable sessions per second through the gate: many requesters at once, whose agreements share flushes,
//! over one at a time, so that each waits for a flush of its own. On a live host with the built-in policies, over
//! six services of which five have to promise their part; with machines, all six buy replicas as well, which
//! is a dozen calls of policies a session in place of two.
//!
//! What sharing gains is what a flush takes beside all else that a session takes. So it is measured twice: on
//! the device that this runs on, whose flush is measured as well, and as if a flush took at least as long as on
//! a disk across a network. A virtual machine whose host acknowledges what it has only taken into its memory
//! may flush in a fraction of a millisecond, and then the processor is what sessions share.
//!
//! A host that keeps everything in memory never waits for a flush: that is what the processor allows.
//!
//! `cargo bench --workspace --profile dev --bench sessions`.
#![allow(missing_docs)]

use std::{
    error::Error,
    fmt,
    io::Write,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use haggle_control::{Change, Principal, ScalingRequest, Verdict};
use haggle_model::{Dependency, Name, Provider, Quantities, Resource, Service, Span, Strength};
use haggle_runtime::{Host, HostOptions, block_on};
use haggle_store::StoreOptions;
use serde_json::{Value, json};

type Failure = Box<dyn Error + Send + Sync>;

const RUN: Duration = Duration::from_secs(4);
const SERVICES: usize = 6;
const BAR: f64 = 10.0;

/// A flush to a disk across a network.
const SLOW: Span = Span::from_millis(4);

/// Where the host keeps everything.
#[derive(Clone, Copy)]
enum Device {
    Memory,
    /// A flush takes at least so long.
    Disk(Span),
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("in memory"),
            Self::Disk(Span::ZERO) => f.write_str("as it is"),
            Self::Disk(flush) => write!(f, "{flush} a flush"),
        }
    }
}

fn main() -> Result<(), Failure> {
    let mut out = std::io::stdout();
    let flush = flush_time()?.as_secs_f64() * 1000.0;
    writeln!(out, "a flush of 4 KiB takes {flush:.2} ms where this runs")?;
    writeln!(out, "{:<60}{:>12}{:>9}", "", "sessions/s", "ratio")?;
    let devices = [Device::Memory, Device::Disk(Span::ZERO), Device::Disk(SLOW)];
    let mut best = [0_f64; 3];
    for (device, best) in devices.into_iter().zip(&mut best) {
        for (what, requests) in
            [("promises", json!({})), ("promises, machines", json!({"cpu_cores": 1}))]
        {
            let baseline = sessions_per_second(1, &requests, device)?;
            let mut row = |how: &str, rate: f64| {
                let label = format!("{device}: {what}: {how}");
                writeln!(out, "{label:<60}{rate:>12.0}{:>8.1}x", rate / baseline)
            };
            row("one at a time, a flush each", baseline)?;
            for requesters in [16, 64, 256] {
                let rate = sessions_per_second(requesters, &requests, device)?;
                *best = best.max(rate / baseline);
                row(&format!("{requesters} requesters at once"), rate)?;
            }
        }
    }
    let [_, here, slow] = best;
    writeln!(out, "best: {here:.1}x here, {slow:.1}x with {SLOW} a flush (bar: {BAR}x)")?;
    if here < BAR { Err("below the bar".into()) } else { Ok(()) }
}

/// The median time that the device takes to make a small write durable.
fn flush_time() -> Result<Duration, Failure> {
    let mut file = tempfile::tempfile_in(env!("CARGO_TARGET_TMPDIR"))?;
    let mut times = Vec::new();
    for _ in 0..101 {
        let start = Instant::now();
        file.write_all(&[1; 4096])?;
        file.sync_data()?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times.get(times.len() / 2).copied().unwrap_or_default())
}

/// A tree of services in which each calls three others. Where replicas use something, they are on the
/// machines of one provider.
fn open(folder: &Path, requests: &Value, device: Device) -> Result<Arc<Host>, Failure> {
    // Compiled once for all runs.
    let cache = Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"));
    let sandbox = haggle_sandbox::Options { cache, ..haggle_sandbox::Options::default() };
    let (data, least_flush) = match device {
        Device::Memory => (None, Span::ZERO),
        Device::Disk(least_flush) => (Some(folder.to_owned()), least_flush),
    };
    let store = StoreOptions { least_flush, ..StoreOptions::default() };
    let options = HostOptions { data, live: true, sandbox, store, ..HostOptions::default() };
    let host = Host::open(options)?;
    let put = |change: Change| block_on(host.change(Principal::Anonymous, change)).map(drop);
    let rack: Provider = serde_json::from_value(json!({
        "name": "rack",
        "units": [{"id": "m", "count": 1000, "resources": {"cpu_cores": 64}, "cost_per_hour": 1}],
    }))?;
    put(Change::PutProvider(rack))?;
    for i in 0..SERVICES {
        let service: Service = serde_json::from_value(json!({
            "name": format!("s{i}"),
            "replica": {"requests": requests, "capacity": {"requests_per_second": 100}},
            "replicas": {"min": 0, "max": 10_000},
        }))?;
        put(Change::PutService(service))?;
    }
    for i in 1..SERVICES {
        let (from, to) = (format!("s{}", (i - 1) / 3), format!("s{i}"));
        let ratios = Quantities::of(Resource::RequestsPerSecond, 0.9)?;
        let dependency = Dependency { strength: Strength::Mandatory, ratios };
        put(Change::PutDependency(Name::new(&from)?, Name::new(&to)?, dependency))?;
    }
    Ok(host)
}

fn sessions_per_second(
    requesters: usize,
    requests: &Value,
    device: Device,
) -> Result<f64, Failure> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let host = open(folder.path(), requests, device)?;
    let next = AtomicU64::new(0);
    let start = Instant::now();
    let ask = || -> Result<u64, Failure> {
        let mut approved = 0;
        while start.elapsed() < RUN {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let request: ScalingRequest = serde_json::from_value(json!({
                "service": "s0", "load": {"requests_per_second": 100 + number % 1000},
            }))?;
            let verdict = block_on(host.request(Principal::Anonymous, request))?.verdict;
            approved += u64::from(verdict == Verdict::Approved);
        }
        Ok(approved)
    };
    let mut approved = 0;
    thread::scope(|scope| -> Result<(), Failure> {
        let threads: Vec<_> = (0..requesters).map(|_| scope.spawn(ask)).collect();
        for thread in threads {
            approved += thread.join().map_err(|_| "a requester panicked")??;
        }
        Ok(())
    })?;
    if approved == 0 {
        return Err("nothing was approved".into());
    }
    Ok(approved as f64 / start.elapsed().as_secs_f64())
}
