//! The unbroken core violates no rule, and the same seed gives the same run.
#![allow(clippy::unwrap_used)]

use haggle_simulate::{Options, run, trace};

#[test]
fn nothing_is_violated() {
    let options = Options { seeds: 200, ..Options::default() };
    let report = run(&options, &|_| {}).unwrap();
    let text = serde_json::to_string_pretty(&report).unwrap();
    assert_eq!(report.violations, 0, "{text}");
    // The runs contain enough events of each kind.
    assert!(report.approved > 1000 && report.reduced > 200 && report.denied > 500, "{text}");
    assert!(report.decisions > 1000 && report.acknowledged > 300 && report.refused > 100, "{text}");
    assert!(report.crashes > 50 && report.failed_commits > 50 && report.jumps > 20, "{text}");
    assert!(report.reclaims > 50 && report.compared > 100 && report.messages > 5000, "{text}");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let options = Options { seeds: 20, first_seed: 7, ..Options::default() };
    let first = run(&options, &|_| {}).unwrap();
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(alone.install(|| run(&options, &|_| {}).unwrap()), first);
    let lines = trace(&options, 7).unwrap();
    assert!(lines.len() > 50);
    assert_eq!(trace(&options, 7).unwrap(), lines);
    assert_ne!(trace(&options, 8).unwrap(), lines);
}
