use std::fmt::Write as _;

use anyhow::{Context, bail};
use clap::Args;
use haggle_model::Span;
use haggle_simulate::{Options, Report, Violation, run, trace};

use crate::{
    output::{Target, line},
    progress::Progress,
};

/// Test the deciding core under faults, with many seeds, and check its invariants.
///
/// Every seed generates random documents, loads and scaling requests. The store fails, the host crashes after
/// any effect, the clock jumps, plugins stall or return invalid answers, messages to remote parties get lost,
/// delayed or duplicated, and providers reclaim capacity with notice. After every step the simulation checks
/// that no capacity is promised twice, that acknowledged changes are on disk and survive, that no service is
/// scaled beyond its leases or oscillates without a cause, and that every caller gets exactly one answer in
/// time. The same options give the same report. Exits with 1 if an invariant fails, with the shortest trace
/// that shows it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Simulate {
    /// Number of runs, each with its own seed
    #[arg(long, value_name = "N", default_value_t = Options::default().seeds)]
    seeds: u64,
    /// The first seed
    #[arg(long, value_name = "N", default_value_t = 0)]
    first_seed: u64,
    /// Maximum number of services in a run
    #[arg(long, value_name = "N", default_value_t = Options::default().services)]
    services: usize,
    /// Maximum number of providers in a run
    #[arg(long, value_name = "N", default_value_t = Options::default().providers)]
    providers: usize,
    /// Number of reconcile passes in a run
    #[arg(long, value_name = "N", default_value_t = Options::default().passes)]
    passes: u64,
    /// Maximum number of scaling requests in a run
    #[arg(long, value_name = "N", default_value_t = Options::default().requests)]
    requests: usize,
    /// The probability that a message gets lost, 0 to 1
    #[arg(long, value_name = "P", default_value_t = Options::default().loss)]
    loss: f64,
    /// Maximum delay of a message, such as 200ms
    #[arg(long, value_name = "D", default_value = "200ms")]
    delay: Span,
    /// The probability that a message arrives twice, 0 to 1
    #[arg(long, value_name = "P", default_value_t = Options::default().duplicate)]
    duplicate: f64,
    /// The probability, at each pass, that the host crashes, 0 to 1
    #[arg(long, value_name = "P", default_value_t = Options::default().crash)]
    crash: f64,
    /// The probability, at each pass, that the store fails for a while, 0 to 1
    #[arg(long, value_name = "P", default_value_t = Options::default().store)]
    store: f64,
    /// The probability, at each pass, that the clock jumps, 0 to 1
    #[arg(long, value_name = "P", default_value_t = Options::default().jump)]
    jump: f64,
    /// Run only this seed and print every event in it
    #[arg(long, value_name = "SEED", conflicts_with_all = ["seeds", "first_seed", "json"])]
    trace: Option<u64>,
    /// Write the report as JSON, to standard output or a file
    #[arg(long, value_name = "OUT", num_args = 0..=1, default_missing_value = "-")]
    json: Option<Target>,
}

const EXAMPLES: &str = "\
Examples:
  haggle simulate --seeds 10000
  haggle simulate --seeds 10000 --loss 0.1 --duplicate 0.1 --delay 500ms --crash 0.02 --json
  haggle simulate --services 50 --providers 10 --seeds 100 --json report.json
  haggle simulate --trace 4711";

impl Simulate {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let options = self.options();
        if let Some(seed) = self.trace {
            return line(trace(&options, seed)?.join("\n"));
        }
        let progress = Progress::bar(options.seeds, "simulating");
        let report = run(&options, &|done| progress.set(done))?;
        drop(progress);
        match &self.json {
            Some(target) => {
                let json = serde_json::to_string_pretty(&report).context("the report")?;
                target.write(|out| writeln!(out, "{json}"))?;
            }
            None => line(summary(&report))?,
        }
        match report.violations {
            0 => Ok(()),
            runs => bail!("something did not hold in {runs} of {} runs", report.seeds),
        }
    }

    fn options(&self) -> Options {
        Options {
            seeds: self.seeds,
            first_seed: self.first_seed,
            services: self.services,
            providers: self.providers,
            passes: self.passes,
            requests: self.requests,
            loss: self.loss,
            delay: self.delay,
            duplicate: self.duplicate,
            crash: self.crash,
            store: self.store,
            jump: self.jump,
        }
    }
}

fn summary(report: &Report) -> String {
    let Report { seeds, steps, passes, violations, decisions, approved, reduced, denied, .. } =
        report;
    let Report { acknowledged, refused, commits, failed_commits, messages, .. } = report;
    let Report { consultations, crashes, jumps, reclaims, compared, digest, .. } = report;
    let mut text = format!(
        "{seeds} runs, {passes} passes, {steps} steps, {consultations} calls of plugins, {messages} messages\n\
         {decisions} decisions; negotiations: {approved} approved, {reduced} reduced, {denied} denied\n\
         {acknowledged} scaling requests were answered, {refused} callers refused; {reclaims} times capacity was \
         taken back\n\
         {commits} commits were durable and {failed_commits} failed; {crashes} crashes, {jumps} jumps of the clock; \
         {compared} restarts compared\n\
         {violations} violations (digest {digest})"
    );
    for Violation { seed, step, rule, text: what, needs, trace } in &report.found {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n\nseed {seed}, step {step}: {rule:?}: {what}\nneeds: {needs}");
        for event in trace {
            let _ = write!(text, "\n  {event}");
        }
    }
    text
}
