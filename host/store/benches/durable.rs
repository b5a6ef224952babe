//! Durable decisions per second through group commit, over sled's own rate with a flush after every
//! write, in one run.
//!
//! `cargo bench -p haggle-store --profile dev`: sled is optimised there as well.
#![allow(missing_docs)]

use std::{
    collections::VecDeque,
    error::Error,
    io::Write,
    thread,
    time::{Duration, Instant},
};

use haggle_model::Decision;
use haggle_store::{Batch, Decisions, Durability, Store, StoreError, StoreOptions};
use serde_json::json;

const RUN: Duration = Duration::from_secs(3);
const SUBMITTERS: usize = 4;
const BAR: f64 = 20.0;

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout();
    let decision: Decision = serde_json::from_value(json!({
        "sequence": 0, "at": "2026-01-31T12:00:00Z", "service": "checkout", "from": 3, "to": 5,
        "target": 6, "reason": "forecast", "load": {"requests_per_second": 412.5},
        "bound": "negotiation", "negotiation": "n-00000000000000000001",
        "explanation": "forecast of 412.5 requests per second (95%: 380 to 455) in 60 s; payment agreed to 5 of 6",
    }))?;
    let baseline = one_flush_per_write(&decision)?;
    writeln!(out, "{:<58}{:>12}{:>9}", "", "decisions/s", "ratio")?;
    let mut row =
        |what: &str, rate: f64| writeln!(out, "{what:<58}{rate:>12.0}{:>8.1}x", rate / baseline);
    row("sled, one flush a write (survives a kill)", baseline)?;
    let mut best = 0_f64;
    for durability in [Durability::ProcessCrash, Durability::PowerLoss] {
        for in_flight in [1, 16, 256, 4096] {
            let rate = group_commit(&decision, durability, in_flight)?;
            best = best.max(rate);
            let what = match durability {
                Durability::ProcessCrash => "survives a kill",
                Durability::PowerLoss => "survives a power loss",
            };
            row(&format!("group commit, {SUBMITTERS} x {in_flight} in flight ({what})"), rate)?;
        }
    }
    writeln!(out, "best over baseline: {:.1}x (bar: {BAR}x)", best / baseline)?;
    if best < BAR * baseline { Err("below the bar".into()) } else { Ok(()) }
}

fn one_flush_per_write(decision: &Decision) -> Result<f64, Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let db = sled::Config::new().path(dir.path()).cache_capacity(64 << 20).open()?;
    let start = Instant::now();
    let mut count = 0_u64;
    while start.elapsed() < RUN {
        db.insert(count.to_be_bytes(), serde_json::to_vec(decision)?)?;
        db.flush()?;
        count += 1;
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

fn group_commit(
    decision: &Decision,
    durability: Durability,
    in_flight: usize,
) -> Result<f64, StoreError> {
    let dir = tempfile::tempdir().map_err(|_| StoreError::Closed)?;
    let store = Store::open(dir.path(), &StoreOptions { durability, ..StoreOptions::default() })?;
    let start = Instant::now();
    let submit = || -> Result<(), StoreError> {
        let mut waiting = VecDeque::new();
        while start.elapsed() < RUN {
            let mut batch = Batch::new();
            batch.append::<Decisions>(decision)?;
            waiting.push_back(store.commit(batch));
            if waiting.len() >= in_flight
                && let Some(commit) = waiting.pop_front()
            {
                commit.wait()?;
            }
        }
        waiting.into_iter().try_for_each(|commit| commit.wait().map(|_| ()))
    };
    let results: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..SUBMITTERS).map(|_| scope.spawn(submit)).collect();
        threads.into_iter().map(|thread| thread.join()).collect()
    });
    for result in results {
        result.unwrap_or(Err(StoreError::Closed))?;
    }
    Ok(store.last_number::<Decisions>() as f64 / start.elapsed().as_secs_f64())
}
