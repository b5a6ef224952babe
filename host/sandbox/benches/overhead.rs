//! What the sandbox costs, as ratios within one run:
//!
//! - a fresh instance and a trivial call, over the same in plain wasmtime;
//! - 64 series of 1,000 values fitted and forecast through the component, metering on, over the same
//!   Rust code compiled natively; and forecast alone from fitted models;
//! - loading a component from the cache over compiling it: with `-- FILE.wasm` for that file.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::time::{Duration, Instant};

use haggle_sandbox::{
    Compiler, Fit, Forecast, Generation, Load, Options, Sandbox, forecasting, types,
};
use haggle_sdk::{Forecaster, forecasting as native};
use haggle_seasonal_smoothing::SeasonalSmoothing;
use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store,
    component::{Component, HasSelf, Linker},
};

mod bare {
    wasmtime::component::bindgen!({ path: "../../wit", world: "forecaster" });
}

struct Quiet;

impl bare::haggle::policy::log::Host for Quiet {
    fn write(&mut self, _: bare::haggle::policy::log::Level, _: String) {}
}

impl bare::haggle::policy::types::Host for Quiet {}

/// How long this thread has been on a processor: what others do meanwhile does not count.
fn on_processor() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
}

/// The median time of one turn, the candidates taking turns so that a slow moment hits all alike.
fn medians<const N: usize>(rounds: usize, mut candidates: [&mut dyn FnMut(); N]) -> [Duration; N] {
    let mut times = [const { Vec::new() }; N];
    for round in 0..rounds + 3 {
        for (candidate, times) in candidates.iter_mut().zip(&mut times) {
            let started = on_processor();
            candidate();
            let elapsed = on_processor().saturating_sub(started);
            // The first rounds warm up caches and pools.
            if round >= 3 {
                times.push(elapsed);
            }
        }
    }
    times.map(|mut times| {
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or_default()
    })
}

fn row(what: &str, ours: Duration, theirs: Duration, bar: f64) {
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    println!("{what:<44} {ours:>12.2?} {theirs:>12.2?} {ratio:>7.2}x   (bar {bar}x)");
}

fn context() -> types::Context {
    types::Context { now: 1_750_000_000_000, seed: 1, configuration: "{}".into() }
}

fn load(bytes: &[u8]) -> Generation {
    let sandbox = Sandbox::new(Options::default()).unwrap();
    sandbox
        .load(Load { plugin: "it", generation: 1, bytes, configuration: "{}", grants: &[] })
        .unwrap()
}

/// A wave with noise, different for each series.
fn values(series: u32, length: u32) -> Vec<f64> {
    let noise = |i: u32| f64::from((i * 7919 + series * 104_729) % 1000) / 1000.0;
    (0..length)
        .map(|i| {
            100.0 + 50.0 * (f64::from(i) / 24.0 * std::f64::consts::TAU).sin() + 20.0 * noise(i)
        })
        .collect()
}

fn trivial_call() {
    let bytes = haggle_builtin::EXAMPLE.bytes;
    let generation = load(bytes);
    let series = forecasting::Series {
        id: "a".into(),
        start: 0,
        step: 1,
        values: vec![1.0, 2.0],
        non_negative: true,
    };
    let task = forecasting::Task { series, model: None, horizon: 1, levels: vec![0.8] };
    let call = Forecast { context: context(), shared: None, tasks: vec![task], events: Vec::new() };

    let mut config = Config::new();
    config.concurrency_support(false);
    let mut pool = PoolingAllocationConfig::new();
    pool.linear_memory_keep_resident(512 << 10).table_keep_resident(16 << 10);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    let engine = Engine::new(&config).unwrap();
    let component = Component::new(&engine, bytes).unwrap();
    let mut linker: Linker<Quiet> = Linker::new(&engine);
    bare::Forecaster::add_to_linker::<_, HasSelf<Quiet>>(&mut linker, |state| state).unwrap();
    let pre = bare::ForecasterPre::new(linker.instantiate_pre(&component).unwrap()).unwrap();
    use bare::exports::haggle::policy::forecasting as plain;
    let series = plain::Series {
        id: "a".into(),
        start: 0,
        step: 1,
        values: vec![1.0, 2.0],
        non_negative: true,
    };
    let task = plain::Task { series, model: None, horizon: 1, levels: vec![0.8] };
    let context = plain::Context { now: 1, seed: 1, configuration: "{}".into() };

    const CALLS: u32 = 2000;
    let [ours, theirs] = medians(
        15,
        [
            &mut || {
                for _ in 0..CALLS {
                    generation.call(&call).unwrap();
                }
            },
            &mut || {
                for _ in 0..CALLS {
                    let mut store = Store::new(&engine, Quiet);
                    let guest = pre.instantiate(&mut store).unwrap();
                    let tasks = std::slice::from_ref(&task);
                    let forecasting = guest.haggle_policy_forecasting();
                    let answer = forecasting.call_forecast(&mut store, &context, None, tasks, &[]);
                    answer.unwrap();
                }
            },
        ],
    );
    row("fresh instance + trivial call / wasmtime", ours / CALLS, theirs / CALLS, 1.5);
}

fn batch() {
    let builtin = haggle_builtin::BUILTIN.iter().find(|b| b.name == "seasonal-smoothing").unwrap();
    let generation = load(builtin.bytes);
    let ours = |i: u32| forecasting::Series {
        id: i.to_string(),
        start: 0,
        step: 60_000,
        values: values(i, 1000),
        non_negative: true,
    };
    let theirs = |i: u32| haggle_sdk::types::Series {
        id: i.to_string(),
        start: 0,
        step: 60_000,
        values: values(i, 1000),
        non_negative: true,
    };
    let levels = vec![0.8, 0.95];
    let panel = forecasting::Panel {
        series: (0..64).map(ours).collect(),
        horizon: 12,
        seasons: vec![24],
        events: Vec::new(),
    };
    let fit = Fit { context: context(), panel, previous: None };
    let tasks = |models: Vec<Option<Vec<u8>>>| Forecast {
        context: context(),
        shared: None,
        tasks: (0..64)
            .zip(models)
            .map(|(i, model)| forecasting::Task {
                series: ours(i),
                model,
                horizon: 12,
                levels: levels.clone(),
            })
            .collect(),
        events: Vec::new(),
    };
    let native_context =
        haggle_sdk::types::Context { now: 1_750_000_000_000, seed: 1, configuration: "{}".into() };
    let native_panel = native::Panel {
        series: (0..64).map(theirs).collect(),
        horizon: 12,
        seasons: vec![24],
        events: Vec::new(),
    };
    let native_tasks = |models: Vec<Option<Vec<u8>>>| -> Vec<native::Task> {
        (0..64)
            .zip(models)
            .map(|(i, model)| native::Task {
                series: theirs(i),
                model,
                horizon: 12,
                levels: levels.clone(),
            })
            .collect()
    };
    let [component, natively] = medians(
        7,
        [
            &mut || {
                let fitted = generation.call(&fit).unwrap().answer;
                let models = fitted.per_series.into_iter().map(Result::ok).collect();
                generation.call(&tasks(models)).unwrap();
            },
            &mut || {
                let fitted = SeasonalSmoothing::fit(&native_context, &native_panel, None).unwrap();
                let models = fitted.per_series.into_iter().map(Result::ok).collect();
                SeasonalSmoothing::forecast(&native_context, None, &native_tasks(models), &[]);
            },
        ],
    );
    row("64 x 1,000 fitted and forecast / native", component, natively, 1.3);

    let fitted = generation.call(&fit).unwrap().answer;
    let models: Vec<Option<Vec<u8>>> = fitted.per_series.into_iter().map(Result::ok).collect();
    let (warm, native_warm) = (tasks(models.clone()), native_tasks(models));
    const WARM: u32 = 100;
    let [component, natively] = medians(
        15,
        [
            &mut || {
                for _ in 0..WARM {
                    generation.call(&warm).unwrap();
                }
            },
            &mut || {
                for _ in 0..WARM {
                    drop(SeasonalSmoothing::forecast(&native_context, None, &native_warm, &[]));
                }
            },
        ],
    );
    row("64 x 1,000 forecast from models / native", component / WARM, natively / WARM, 2.0);
}

fn second_start(name: &str, bytes: &[u8], bar: f64) {
    let folder = tempfile::tempdir().unwrap();
    let cache = Some(folder.path().join("cache"));
    let start = || {
        let started = Instant::now();
        let options =
            Options { compiler: Compiler::InProcess, cache: cache.clone(), ..Options::default() };
        let sandbox = Sandbox::new(options).unwrap();
        let load = Load { plugin: "it", generation: 1, bytes, configuration: "{}", grants: &[] };
        let _generation = sandbox.load(load).unwrap();
        started.elapsed()
    };
    let first = start();
    let mut again: Vec<Duration> = (0..5).map(|_| start()).collect();
    again.sort_unstable();
    let second = again.get(2).copied().unwrap_or_default();
    let what = format!("second start / first, {name}");
    row(&what, second, first, bar);
}

fn main() {
    println!("{:<44} {:>12} {:>12} {:>8}", "", "ours", "compared to", "ratio");
    trivial_call();
    batch();
    let files = std::env::args().skip(1).filter(|arg| !arg.starts_with("--"));
    for file in files {
        second_start(&file, &std::fs::read(&file).unwrap(), 0.02);
    }
}
