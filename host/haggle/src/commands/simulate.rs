use std::fmt::Write as _;

use anyhow::{Context, bail};
use clap::Args;
use haggle_model::Span;
use haggle_simulate::{Options, Report, Violation, run, trace};

use crate::{
    output::{Target, line},
    progress::Progress,
};

/// Negotiate under faults, again and again, and check what must hold.
///
/// Every seed makes a random dependency graph, a market, and negotiations that run at the same time over a
/// network that loses, delays and repeats messages, while the host and the parties crash, providers take
/// capacity back with notice, and agreements near their end are renewed. After every step it is checked that
/// nothing is promised twice, nor on what was taken back, that every session ends as a whole or not at all, within its
/// rounds and deadline, and that every lease ends. The same options give the same report. Exits with 1 if
/// anything did not hold, with the shortest trace that shows it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Simulate {
    /// How many runs, each with a seed of its own
    #[arg(long, value_name = "N", default_value_t = 1000)]
    seeds: u64,
    /// The first seed
    #[arg(long, value_name = "N", default_value_t = 0)]
    first_seed: u64,
    /// The most services of a run
    #[arg(long, value_name = "N", default_value_t = 10)]
    services: usize,
    /// The most providers of a run
    #[arg(long, value_name = "N", default_value_t = 3)]
    providers: usize,
    /// The most negotiations of a run
    #[arg(long, value_name = "N", default_value_t = 8)]
    sessions: usize,
    /// The probability that a message gets lost, 0 to 1
    #[arg(long, value_name = "P", default_value_t = 0.1)]
    loss: f64,
    /// The longest time that a message is under way; a bare number is milliseconds
    #[arg(long, value_name = "D", default_value = "200ms", value_parser = delay)]
    delay: Span,
    /// The probability that a message arrives twice, 0 to 1
    #[arg(long, value_name = "P", default_value_t = 0.1)]
    duplicate: f64,
    /// The probability, at each step, that the host or a party crashes, 0 to 0.5
    #[arg(long, value_name = "P", default_value_t = 0.02)]
    crash: f64,
    /// Run this seed alone and print everything that happens in it
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
        let progress = Progress::bar(options.seeds, "negotiating");
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
            sessions: self.sessions,
            loss: self.loss,
            delay: self.delay,
            duplicate: self.duplicate,
            crash: self.crash,
        }
    }
}

fn delay(text: &str) -> Result<Span, String> {
    match text.parse::<f64>() {
        Ok(milliseconds) if (0.0..=1e9).contains(&milliseconds) => {
            Ok(Span::from_millis(milliseconds.ceil() as u64))
        }
        _ => text.parse().map_err(|error: haggle_model::InvalidTime| error.to_string()),
    }
}

fn summary(report: &Report) -> String {
    let Report { seeds, steps, sessions, violations, confirmed, reduced, failed, vanished, .. } =
        report;
    let Report { rounds_p50, rounds_p99, messages, crashes, digest, .. } = report;
    let Report { reclaims, cut_short, renewals, .. } = report;
    let mut text = format!(
        "{seeds} runs, {steps} steps, {messages} messages, {crashes} crashes\n\
         {sessions} negotiations: {confirmed} confirmed, {reduced} reduced, {failed} failed, \
         {vanished} lost with the host before they began\n\
         {renewals} of them renewed what came to its end; {reclaims} times capacity was taken back, and \
         {cut_short} leases ended because of that\n\
         rounds: {rounds_p50} in half of them at most, {rounds_p99} in 99%\n\
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

#[cfg(test)]
mod tests {
    use super::delay;
    use haggle_model::Span;

    #[test]
    fn a_delay_has_a_unit_or_is_milliseconds() {
        assert_eq!(delay("250ms"), Ok(Span::from_millis(250)));
        assert_eq!(delay("2s"), Ok(Span::from_secs(2)));
        assert_eq!(delay("250"), Ok(Span::from_millis(250)));
        assert_eq!(delay("0.5"), Ok(Span::from_millis(1)));
        assert!(delay("-1").is_err() && delay("soon").is_err());
    }
}
