//! Deterministic simulation of the decision core under faults.
//!
//! Every seed produces random documents, loads and scaling requests, and a script of faults: the store
//! fails, the host crashes after any effect, the clock jumps, plugins stall or return nonsense, remote
//! parties are hard to reach, and providers take capacity back. The simulator drives the core as the host
//! does. After every step, an independent checker verifies the invariants ([`Rule`]). The same options
//! produce exactly the same [`Report`], on any number of threads.
//!
//! ```
//! use haggle_simulate::{Options, run};
//!
//! let report = run(&Options { seeds: 3, ..Options::default() }, &|_| {}).unwrap();
//! assert_eq!((report.seeds, report.violations), (3, 0));
//! ```

mod books;
mod chance;
mod checker;
mod disk;
mod driver;
mod isolation;
mod loads;
mod options;
mod participant;
mod plan;
mod plugin;
mod report;
mod run;
mod script;
mod shrink;
mod subject;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

pub use options::{Options, OptionsError};
pub use report::{Report, Rule, Violation};
pub use subject::{Sound, Subject};

use plan::Plan;
use shrink::shrink;

/// The maximum number of violations that are shrunk and reported with a trace. All are counted.
const MOST_SHRUNK: usize = 4;

/// Simulates the core. The function calls `progress` from any thread with the number of finished runs.
///
/// # Errors
/// [`OptionsError`] if an option is out of range.
pub fn run(options: &Options, progress: &(dyn Fn(u64) + Sync)) -> Result<Report, OptionsError> {
    run_with(options, Sound::default, progress)
}

/// Simulates another subject instead of the core.
///
/// # Errors
/// [`OptionsError`] if an option is out of range.
pub fn run_with<S: Subject>(
    options: &Options,
    subject: impl Fn() -> S + Sync,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Report, OptionsError> {
    options.validate()?;
    let done = AtomicU64::new(0);
    let seeds = options.first_seed..options.first_seed.saturating_add(options.seeds);
    let ran: Vec<_> = seeds
        .into_par_iter()
        .map(|seed| {
            let mut ran = run::run(options, seed, &Plan::whole(), subject(), false);
            if ran.violation.is_none() {
                ran.violation = isolation::compare(options, seed, &subject);
            }
            progress(done.fetch_add(1, Ordering::Relaxed) + 1);
            (seed, ran)
        })
        .collect();
    let bad: Vec<_> = ran.iter().filter(|(_, ran)| ran.violation.is_some()).collect();
    let found: Vec<Violation> = bad
        .into_par_iter()
        .enumerate()
        .filter_map(|(place, (seed, ran))| {
            let (rule, text) = ran.violation.clone()?;
            if place < MOST_SHRUNK && rule != Rule::Isolation {
                return shrink(options, *seed, ran, &subject);
            }
            let (step, needs) = (ran.tally.steps, Plan::whole().to_string());
            Some(Violation { seed: *seed, step, rule, text, needs, trace: Vec::new() })
        })
        .collect();
    Ok(Report::sum(ran.into_iter().map(|(_, ran)| ran.tally).collect(), found))
}

/// The complete trace of the run of one seed, one line per event, with any violation at the end.
///
/// # Errors
/// [`OptionsError`] if an option is out of range.
pub fn trace(options: &Options, seed: u64) -> Result<Vec<String>, OptionsError> {
    options.validate()?;
    let ran = run::run(options, seed, &Plan::whole(), Sound::default(), true);
    let mut trace = ran.trace;
    let violation = ran.violation.or_else(|| isolation::compare(options, seed, &Sound::default));
    trace.extend(violation.map(|(rule, text)| format!("violated: {rule:?}: {text}")));
    Ok(trace)
}
