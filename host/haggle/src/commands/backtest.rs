//! `haggle backtest`

mod contender;
mod scenario;
mod summary;

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use haggle_backtest::{Competitor, Hpa, HpaSettings, Oracle, Report, run};
use haggle_model::Span;
use haggle_observe::Trace;

use self::{contender::Haggle, scenario::Scenario};
use super::file::FileArgs;
use crate::{
    output::{self, Target},
    progress::Progress,
};

/// Replay a recorded load, and compare with the Kubernetes autoscaler
///
/// The load is CSV, optionally gzipped: a header `time,<service>,...` and a row for each time, or rows of a
/// service, a time and a value. The backtest runs it through forecast, negotiation and simulated replicas,
/// and compares the result with a horizontal pod autoscaler (`hpa`) and a scaler that knows the load in
/// advance (`oracle`). Without a scenario each column is a separate service, whose replica carries a tenth of
/// the load's 99th percentile and starts in 60 s.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Backtest {
    /// The recorded load
    #[arg(long, value_name = "FILE")]
    load: PathBuf,
    #[command(flatten)]
    file: FileArgs,
    /// Services (named like the columns), dependencies, providers, policies and events, in the format of
    /// `haggle apply`
    #[arg(long, value_name = "FILE|DIR")]
    scenario: Option<PathBuf>,
    /// The utilization of a replica that the Kubernetes autoscaler aims at, above 0 and at most 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.7, value_parser = share)]
    hpa_target: f64,
    /// The time between two of haggle's reconcile passes [default: a quarter of the load's step, at least
    /// 15s]
    #[arg(long, value_name = "TIME", value_parser = interval)]
    interval: Option<Span>,
    /// Write the report as JSON to this file; - prints it to standard output instead of the table
    #[arg(long, value_name = "OUT.json|-")]
    json: Option<Target>,
}

const EXAMPLES: &str = "\
Examples:
  haggle backtest --load worldcup98.csv
  haggle backtest --load shop.csv.gz --scenario policies/shop.yaml --json report.json
  haggle backtest --load load.csv --hpa-target 0.9 --json - | jq .haggle.replica_hours";

/// Resolution of the progress bar, in steps.
const TICKS: f64 = 1000.0;

impl Backtest {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let trace = Trace::open_with(&self.load, &self.file.options())?;
        let scenario = match &self.scenario {
            Some(path) => Scenario::open(path, &trace)?,
            None => Scenario::of_columns(&trace)
                .with_context(|| format!("{} cannot be run", self.load.display()))?,
        };
        let workload = &scenario.workload;
        let interval = self.interval.unwrap_or_else(|| usual_interval(trace.step));
        let settings =
            HpaSettings { target_utilization: self.hpa_target, ..HpaSettings::default() };
        let mut competitors: [Box<dyn Competitor + '_>; 3] = [
            Box::new(Haggle::new(&scenario, interval)),
            Box::new(Hpa::new(settings)),
            Box::new(Oracle::new(workload)),
        ];
        let mut report = Report::default();
        for competitor in &mut competitors {
            let name = competitor.name().to_owned();
            let progress = Progress::bar(TICKS as u64, name.clone());
            let mut show = |share: f64| progress.set((share * TICKS) as u64);
            let outcome = run(workload, competitor.as_mut(), &mut show)?;
            report.competitors.insert(name, outcome);
        }
        match &self.json {
            Some(Target::Stdout) => return output::json(&report),
            Some(file) => file.write(|out| output::write_json(out, &report))?,
            None => {}
        }
        output::line(summary::of(&report))
    }
}

/// Short enough to observe the beginning of a step before the step ends.
fn usual_interval(step: Span) -> Span {
    Span::from_millis(step.as_millis() / 4).max(Span::from_secs(15))
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if share > 0.0 && share <= 1.0 => Ok(share),
        _ => Err("it must be above 0 and at most 1".to_owned()),
    }
}

fn interval(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|error: haggle_model::InvalidTime| error.to_string())?;
    if span < Span::from_secs(1) { Err("it must be at least 1s".to_owned()) } else { Ok(span) }
}

#[cfg(test)]
mod tests {
    use super::{interval, share, usual_interval};
    use haggle_model::Span;

    #[test]
    fn a_step_is_looked_at_several_times() {
        assert_eq!(usual_interval(Span::from_secs(1)), Span::from_secs(15));
        assert_eq!(usual_interval(Span::from_mins(1)), Span::from_secs(15));
        assert_eq!(usual_interval(Span::from_mins(60)), Span::from_mins(15));
    }

    #[test]
    fn shares_and_intervals_have_bounds() {
        assert_eq!(share("1"), Ok(1.0));
        assert_eq!(interval("90s"), Ok(Span::from_secs(90)));
        for wrong in ["0", "1.1", "NaN", "-1", "much"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
        for wrong in ["0s", "10ms", "often"] {
            assert!(interval(wrong).is_err(), "{wrong}");
        }
    }
}
