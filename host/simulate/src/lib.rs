//! Deterministic simulation of the negotiation engine under faults.
//!
//! Every seed makes a random dependency graph, a market and negotiations that run at the same time over a
//! network that loses, delays and repeats messages, while the host and the parties crash. After every
//! step a checker of its own looks whether all holds that must ([`Rule`]). The same options give the same
//! [`Report`], bit by bit, on any number of threads.
//!
//! ```
//! use haggle_simulate::{Options, run};
//!
//! let report = run(&Options { seeds: 3, ..Options::default() }, &|_| {}).unwrap();
//! assert_eq!((report.seeds, report.violations), (3, 0));
//! ```

mod chance;
mod checker;
mod coordinator;
mod options;
mod participant;
mod plan;
mod report;
mod run;
mod scene;
mod shrink;

use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

pub use coordinator::{Coordinator, Disk, Reclaim, Sound, Started};
pub use options::{Options, OptionsError};
pub use report::{Report, Rule, Violation};
pub use scene::Scene;

use plan::Plan;
use shrink::shrink;

/// The most violations that are shrunk and reported with their trace; all are counted.
const MOST_SHRUNK: usize = 10;

/// Simulates the engine. `progress` is told how many runs are done, from any thread.
///
/// # Errors
/// [`OptionsError`] for options out of their range.
pub fn run(options: &Options, progress: &(dyn Fn(u64) + Sync)) -> Result<Report, OptionsError> {
    run_with(options, Sound::default, progress)
}

/// Simulates something in place of the engine.
///
/// # Errors
/// [`OptionsError`] for options out of their range.
pub fn run_with<C: Coordinator>(
    options: &Options,
    host: impl Fn() -> C + Sync,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Report, OptionsError> {
    options.validate()?;
    let done = AtomicU64::new(0);
    let seeds = options.first_seed..options.first_seed.saturating_add(options.seeds);
    let ran: Vec<_> = seeds
        .into_par_iter()
        .map(|seed| {
            let ran = run::run(options, seed, &Plan::whole(), host(), false);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1);
            (seed, ran)
        })
        .collect();
    let bad = ran.iter().filter(|(_, ran)| ran.violation.is_some());
    let found: Vec<Violation> = bad
        .enumerate()
        .filter_map(|(place, (seed, ran))| {
            if place < MOST_SHRUNK {
                return shrink(options, *seed, ran, &host);
            }
            let (rule, text) = ran.violation.clone()?;
            let (step, needs) = (ran.tally.steps, Plan::whole().to_string());
            Some(Violation { seed: *seed, step, rule, text, needs, trace: Vec::new() })
        })
        .collect();
    Ok(Report::sum(ran.into_iter().map(|(_, ran)| ran.tally).collect(), found))
}

/// Everything that happens in the run of one seed, a line each, and what was wrong at its end.
///
/// # Errors
/// [`OptionsError`] for options out of their range.
pub fn trace(options: &Options, seed: u64) -> Result<Vec<String>, OptionsError> {
    options.validate()?;
    let ran = run::run(options, seed, &Plan::whole(), Sound::default(), true);
    let mut trace = ran.trace;
    trace.extend(ran.violation.map(|(rule, text)| format!("violated: {rule:?}: {text}")));
    Ok(trace)
}
