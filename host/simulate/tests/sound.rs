//! The engine as it is.

use haggle_simulate::{Options, run, trace};

#[test]
fn nothing_is_violated() {
    let options = Options { seeds: 300, ..Options::default() };
    let report = run(&options, &|_| {}).unwrap();
    let text = serde_json::to_string_pretty(&report).unwrap();
    assert_eq!(report.violations, 0, "{text}");
    // The runs are about something.
    assert!(report.confirmed > 100 && report.reduced > 50 && report.failed > 100, "{text}");
    assert!(report.reclaims > 100 && report.cut_short > 20 && report.renewals > 100, "{text}");
    assert!(report.crashes > 1000 && report.messages > 10_000, "{text}");
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
