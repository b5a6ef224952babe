//! What the sandbox costs, as ratios within one run:
//!
//! - a fresh instance and a trivial call, over the same in plain wasmtime;
//! - for each built-in forecaster, 64 series of 1,000 values fitted and forecast through the component,
//!   metering on, over the same Rust code compiled natively; forecast alone from models, with as many new
//!   values as come on average until the next fit; and the same right after a fit, where nothing is new;
//! - how many series a second the default forecaster forecasts on two cores from warm models;
//! - loading a component from the cache over compiling it: with `-- FILE.wasm` for that file.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::time::{Duration, Instant};

use haggle_sandbox::{
    Compiler, Fit, Forecast, Generation, Load, Options, Sandbox, forecasting, since, types,
};
use haggle_sdk::{Forecasting, forecasting as native};
use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store,
    component::{Component, HasSelf, Linker},
};

mod bare {
    wasmtime::component::bindgen!({ path: "../../wit", world: "forecasting-plugin" });
}

struct Quiet;

impl bare::haggle::plugin::log::Host for Quiet {
    fn write(&mut self, _: bare::haggle::plugin::log::Level, _: String) {}
}

impl bare::haggle::plugin::types::Host for Quiet {}

/// How long this thread has been on a processor: what others do meanwhile does not count.
fn on_processor() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap()
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
    println!("{what:<52} {ours:>12.2?} {theirs:>12.2?} {ratio:>7.2}x   (bar {bar}x)");
}

fn context() -> types::Context {
    types::Context { now_ms: 1_750_000_000_000, seed: 1, configuration: "{}".into() }
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
        last_at_ms: 1,
        step_ms: 1,
        values: vec![1.0, 2.0],
        non_negative: true,
    };
    let task = forecasting::Task {
        series,
        model: None,
        horizon_steps: 1,
        seasons_steps: Vec::new(),
        levels: vec![0.8],
    };
    let call = Forecast { context: context(), shared: None, tasks: vec![task], events: Vec::new() };

    let mut config = Config::new();
    config.concurrency_support(false);
    let mut pool = PoolingAllocationConfig::new();
    pool.linear_memory_keep_resident(512 << 10).table_keep_resident(16 << 10);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    let engine = Engine::new(&config).unwrap();
    let component = Component::new(&engine, bytes).unwrap();
    let mut linker: Linker<Quiet> = Linker::new(&engine);
    bare::ForecastingPlugin::add_to_linker::<_, HasSelf<Quiet>>(&mut linker, |state| state)
        .unwrap();
    let pre = bare::ForecastingPluginPre::new(linker.instantiate_pre(&component).unwrap()).unwrap();
    use bare::exports::haggle::plugin::forecasting as plain;
    let series = plain::Series {
        id: "a".into(),
        last_at_ms: 1,
        step_ms: 1,
        values: vec![1.0, 2.0],
        non_negative: true,
    };
    let task = plain::Task {
        series,
        model: None,
        horizon_steps: 1,
        seasons_steps: Vec::new(),
        levels: vec![0.8],
    };
    let context = plain::Context { now_ms: 1, seed: 1, configuration: "{}".into() };

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
                    let forecasting = guest.haggle_plugin_forecasting();
                    let answer = forecasting.call_forecast(&mut store, &context, None, tasks, &[]);
                    answer.unwrap();
                }
            },
        ],
    );
    row("fresh instance + trivial call / wasmtime", ours / CALLS, theirs / CALLS, 1.5);
}

/// A batch for the component and the same for native code.
struct Batch {
    fit: Fit,
    native_panel: native::Panel,
}

const LEVELS: [f64; 2] = [0.8, 0.95];
const SERIES: u32 = 64;

fn native_context() -> haggle_sdk::types::Context {
    haggle_sdk::types::Context { now_ms: 1_750_000_000_000, seed: 1, configuration: "{}".into() }
}

impl Batch {
    fn new(length: u32, seasons: &[u32]) -> Self {
        let ours = |i: u32| forecasting::Series {
            id: i.to_string(),
            last_at_ms: 60_000 * u64::from(length - 1),
            step_ms: 60_000,
            values: values(i, length),
            non_negative: true,
        };
        let theirs = |i: u32| haggle_sdk::types::Series {
            id: i.to_string(),
            last_at_ms: 60_000 * u64::from(length - 1),
            step_ms: 60_000,
            values: values(i, length),
            non_negative: true,
        };
        let panel = forecasting::Panel {
            series: (0..SERIES).map(ours).collect(),
            horizon_steps: 12,
            seasons_steps: seasons.to_vec(),
            events: Vec::new(),
        };
        let native_panel = native::Panel {
            series: (0..SERIES).map(theirs).collect(),
            horizon_steps: 12,
            seasons_steps: seasons.to_vec(),
            events: Vec::new(),
        };
        Self { fit: Fit { context: context(), panel, previous: None }, native_panel }
    }

    /// From models that were fitted to the first `known` values.
    fn forecast(&self, known: u32, fitted: forecasting::Fitted) -> Forecast {
        let lookback = fitted.lookback_steps;
        let task =
            |(series, model): (&forecasting::Series, Result<Vec<u8>, _>)| forecasting::Task {
                series: window(series, known.into(), lookback),
                model: model.ok(),
                horizon_steps: 12,
                seasons_steps: Vec::new(),
                levels: LEVELS.to_vec(),
            };
        let tasks = self.fit.panel.series.iter().zip(fitted.models).map(task);
        Forecast {
            context: context(),
            shared: fitted.shared,
            tasks: tasks.collect(),
            events: Vec::new(),
        }
    }

    fn native_tasks(&self, known: u32, fitted: native::Fitted) -> Vec<native::Task> {
        let lookback = fitted.lookback_steps;
        let task = |(series, model): (&forecasting::Series, Result<Vec<u8>, _>)| {
            let window = window(series, known.into(), lookback);
            native::Task {
                series: haggle_sdk::types::Series {
                    id: window.id,
                    last_at_ms: window.last_at_ms,
                    step_ms: window.step_ms,
                    values: window.values,
                    non_negative: window.non_negative,
                },
                model: model.ok(),
                horizon_steps: 12,
                seasons_steps: Vec::new(),
                levels: LEVELS.to_vec(),
            }
        };
        self.fit.panel.series.iter().zip(fitted.models).map(task).collect()
    }
}

/// What the host passes of a series with a model that was fitted to its first `known` values.
fn window(series: &forecasting::Series, known: u64, lookback: Option<u32>) -> forecasting::Series {
    let start = series.last_at_ms - series.step_ms * (series.values.len() as u64 - 1);
    since(series.clone(), start + series.step_ms * known, lookback)
}

fn built_in(name: &str) -> Generation {
    load(haggle_builtin::BUILTIN.iter().find(|b| b.name == name).unwrap().bytes)
}

/// The values that models are fitted to, and those that have come since half-way to the next fit: one a minute
/// where that is due once an hour.
const FITTED: u32 = 1000;
const NEW: u32 = 30;

fn batch<P: Forecasting>(name: &str) {
    let generation = built_in(name);
    let batch = Batch::new(FITTED, &[24]);
    let context = native_context();
    let [component, natively] = medians(
        7,
        [
            &mut || {
                let fitted = generation.call(&batch.fit).unwrap().answer;
                generation.call(&batch.forecast(FITTED, fitted)).unwrap();
            },
            &mut || {
                let fitted = P::fit(&context, &batch.native_panel, None).unwrap();
                let shared = fitted.shared.clone();
                P::forecast(&context, shared.as_deref(), &batch.native_tasks(FITTED, fitted), &[]);
            },
        ],
    );
    row(&format!("{name}: fit and forecast / native"), component, natively, 1.3);

    let fitted = generation.call(&batch.fit).unwrap().answer;
    let native_fitted = P::fit(&context, &batch.native_panel, None).unwrap();
    for (what, new) in [("forecast", NEW), ("forecast, nothing new", 0)] {
        let batch = Batch::new(FITTED + new, &[24]);
        let warm = batch.forecast(FITTED, fitted.clone());
        let native_warm = batch.native_tasks(FITTED, native_fitted.clone());
        let shared = native_fitted.shared.as_deref();
        const WARM: u32 = 50;
        let [component, natively] = medians(
            9,
            [
                &mut || {
                    for _ in 0..WARM {
                        generation.call(&warm).unwrap();
                    }
                },
                &mut || {
                    for _ in 0..WARM {
                        drop(P::forecast(&context, shared, &native_warm, &[]));
                    }
                },
            ],
        );
        row(&format!("{name}: {what} / native"), component / WARM, natively / WARM, 2.0);
    }
}

/// Warm models of 864 values, 12 steps with intervals, on two threads.
fn every_tick(name: &str) {
    const KNOWN: u32 = 864;
    let generation = built_in(name);
    let fitted = generation.call(&Batch::new(KNOWN, &[]).fit).unwrap().answer;
    let bytes: usize = fitted.models.iter().flatten().map(Vec::len).sum();
    let shared = fitted.shared.as_ref().map_or(0, Vec::len);
    let warm = Batch::new(KNOWN + NEW, &[]).forecast(KNOWN, fitted);
    const CALLS: u32 = 200;
    let run = || {
        let started = on_processor();
        for _ in 0..CALLS {
            generation.call(&warm).unwrap();
        }
        f64::from(CALLS * SERIES) / on_processor().saturating_sub(started).as_secs_f64()
    };
    let rate: f64 = std::thread::scope(|scope| {
        let threads = [scope.spawn(run), scope.spawn(run)];
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let each = bytes / SERIES as usize;
    println!(
        "{name}: {rate:.0} series/s on two cores from warm models and {NEW} new values (bar 20000)"
    );
    println!("{name}: {each} bytes of model a series (bar 4096), and {shared} shared");
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
    println!("{:<52} {:>12} {:>12} {:>8}", "", "ours", "compared to", "ratio");
    trivial_call();
    batch::<haggle_seasonal_smoothing::SeasonalSmoothing>("seasonal-smoothing");
    batch::<haggle_exponential_smoothing::ExponentialSmoothing>("exponential-smoothing");
    batch::<haggle_arima::Arima>("arima");
    batch::<haggle_theta::Theta>("theta");
    batch::<haggle_decomposition::DecompositionPlugin>("decomposition");
    batch::<haggle_gradient_boosting::GradientBoosting>("gradient-boosting");
    batch::<haggle_recurrent_network::RecurrentNetwork>("recurrent-network");
    batch::<haggle_ensemble::Ensemble>("ensemble");
    every_tick("ensemble");
    let files = std::env::args().skip(1).filter(|arg| !arg.starts_with("--"));
    for file in files {
        second_start(&file, &std::fs::read(&file).unwrap(), 0.02);
    }
}
