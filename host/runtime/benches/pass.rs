//! One reconcile pass over many services, each with 288 values of history: wall time, memory, and how both
//! grow from 1,000 services to 10,000. `cargo bench -p haggle-runtime --bench pass`; arguments give other
//! numbers of services.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use haggle_control::{Change, Principal};
use haggle_model::{Name, Quantities, Replica, Replicas, Resource, Service, Span, Tier, Timestamp};
use haggle_observe::Sample;
use haggle_runtime::{Clock, Host, HostOptions, ManualClock, SampleBatch, block_on};

const VALUES: u64 = 288;
const MINUTE: Span = Span::from_mins(1);

fn service(i: u64) -> Service {
    Service {
        name: Name::new(&format!("s{i:05}")).unwrap(),
        replica: Replica {
            requests: Quantities::new(),
            capacity: Quantities::of(Resource::RequestsPerSecond, 10.0).unwrap(),
            startup: MINUTE,
        },
        replicas: Replicas { min: 1, max: 1000 },
        policy: Name::new("default").unwrap(),
        tier: Tier::Silver,
        objective: None,
        weight: 1.0,
        location: None,
        gpu_type: None,
        endpoint: None,
    }
}

fn load(i: u64, minute: u64) -> f64 {
    let noise = ((minute * 7919 + i * 104_729) % 1000) as f64 / 1000.0;
    100.0 + 50.0 * (minute as f64 / 60.0 + i as f64).sin() + 20.0 * noise
}

/// What passes take.
struct Measured {
    /// All passes together until every service is fitted: each pass fits a bounded number.
    fitting: Duration,
    /// The longest of those.
    longest: Duration,
    /// The median of passes that only forecast.
    warm: Duration,
}

fn measure(services: u64) -> Measured {
    let start = Timestamp::from_millis(1_750_000_000_000).floor(MINUTE);
    let clock = Arc::new(ManualClock::new(start));
    let host = Host::open(HostOptions {
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        interval: MINUTE,
        ..HostOptions::default()
    })
    .unwrap();
    for i in 0..services {
        let change = Change::PutService(service(i));
        block_on(host.change(Principal::Anonymous, change)).unwrap();
    }
    let mut minute = 0;
    let mut next = || {
        let now = start + Span::from_mins(minute);
        clock.set(now);
        let sample = |i| Sample {
            service: service(i).name,
            metric: "requests_per_second".into(),
            instance: None,
            time: Some(now),
            value: load(i, minute),
        };
        let samples = (0..services).map(sample).collect();
        block_on(host.push_samples(SampleBatch { samples, failures: Vec::new() })).unwrap();
        minute += 1;
        clock.set(now + MINUTE);
    };
    for _ in 0..VALUES {
        next();
    }
    let pass = || {
        let started = Instant::now();
        let report = host.pass().unwrap().report;
        (started.elapsed(), report.forecast as u64)
    };
    let (mut fitting, mut longest) = (Duration::ZERO, Duration::ZERO);
    loop {
        let (took, forecast) = pass();
        fitting += took;
        longest = longest.max(took);
        if forecast == services {
            break;
        }
    }
    let mut warm: Vec<Duration> = (0..5)
        .map(|_| {
            next();
            let (took, forecast) = pass();
            assert_eq!(forecast, services);
            took
        })
        .collect();
    warm.sort_unstable();
    Measured { fitting, longest, warm: warm.get(2).copied().unwrap_or_default() }
}

/// The most memory that the process has had.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn main() {
    println!(
        "{:>10} {:>14} {:>14} {:>14} {:>12}",
        "services", "all fits", "longest pass", "warm pass", "peak MiB"
    );
    let mut results = Vec::new();
    let mut sizes: Vec<u64> = std::env::args().filter_map(|size| size.parse().ok()).collect();
    if sizes.is_empty() {
        sizes = vec![1000, 10_000];
    }
    for services in sizes {
        let measured = measure(services);
        let Measured { fitting, longest, warm } = &measured;
        let peak = peak_mib();
        println!("{services:>10} {fitting:>14.2?} {longest:>14.2?} {warm:>14.2?} {peak:>12}");
        results.push(measured);
    }
    if let [few, many] = results.as_slice() {
        let ratio = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64();
        println!(
            "growth for ten times the services: {:.1}x fitting, {:.1}x warm (bar 10x)",
            ratio(many.fitting, few.fitting),
            ratio(many.warm, few.warm)
        );
    }
}
