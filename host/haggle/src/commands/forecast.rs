//! `haggle forecast`

pub(super) mod batches;
pub(super) mod engine;
pub(super) mod events;
pub(super) mod plugin;
mod rows;
pub(super) mod subject;

use std::{path::PathBuf, sync::atomic::AtomicU64};

use anyhow::{Context, bail};
use clap::{Args, value_parser};
use haggle_model::Name;
use haggle_observe::open_panel;

use self::{
    batches::batches,
    engine::{Engine, Outcome},
    plugin::Wanted,
    subject::Subject,
};
use super::file::FileArgs;
use crate::{
    output::{self, Target},
    progress::Progress,
};

/// Forecast every series of a file
///
/// The file is CSV, optionally gzipped. Each row is a series (`id,value,value,...`, as in the M4 competition),
/// or each column is a series, with the time in another column, or each row is the id of a series, a time and
/// a value. The first rows show which it is; --layout and --time say it. An empty cell is a missing value. If
/// the offsets of the times change, or with --zone, the steps follow the local clock. The result has a row for
/// each series and step, with the mean and the 80% and 95% intervals: `series,step,mean,lo80,hi80,lo95,hi95`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Forecast {
    /// The file with the series
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    #[command(flatten)]
    file: FileArgs,
    /// Number of steps to forecast
    #[arg(long, value_name = "STEPS", value_parser = value_parser!(u32).range(1..=10_000))]
    horizon: u32,
    /// Length of a season in steps; may be repeated. Without it, the plugin detects seasons
    #[arg(long = "season", value_name = "STEPS", value_parser = value_parser!(u32).range(1..=1_000_000))]
    seasons: Vec<u32>,
    /// Events that change the series: a YAML file of documents of the kind calendar_event, or a
    /// folder of such files.
    /// An event that names services applies to the series with these names
    #[arg(long, value_name = "FILE|DIR")]
    events: Option<PathBuf>,
    /// The built-in plugin to use
    #[arg(long, value_name = "NAME", conflicts_with = "component")]
    plugin: Option<Name>,
    /// Your own plugin, a .wasm file
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
    /// The plugin's configuration: a JSON object, or @FILE with one
    #[arg(long, value_name = "JSON|@FILE")]
    configuration: Option<String>,
    /// File for the forecasts; - is standard output
    #[arg(long, value_name = "OUT.csv|-")]
    output: Target,
    /// Maximum number of series to fit together
    #[arg(long, value_name = "SERIES", default_value_t = 64, value_parser = value_parser!(u32).range(1..=100_000))]
    batch: u32,
    /// Seed of the plugin's random numbers
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Omit series that cannot be forecast, and succeed nevertheless
    #[arg(long)]
    skip_failed: bool,
    /// Keep compiled plugins in this folder; no other user may have access to it
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  haggle forecast --input hourly.csv --horizon 48 --season 24 --output forecast.csv
  haggle forecast --input load.csv.gz --horizon 12 --output - | head
  haggle forecast --input load.csv --horizon 12 --component my-plugin.wasm --output forecast.csv";

/// Maximum number of warnings about single series.
const WARNINGS: usize = 20;

impl Forecast {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let panel = open_panel(&self.input, &self.file.options())?;
        let forecaster = plugin::load(Wanted {
            plugin: self.plugin.as_ref(),
            component: self.component.as_deref(),
            configuration: self.configuration.as_deref(),
            cache: self.cache.as_deref(),
        })?;
        let mut seasons = self.seasons.clone();
        seasons.sort_unstable();
        seasons.dedup();
        let events = events::open(self.events.as_deref())?;
        let subjects: Vec<Subject> = panel.into_iter().map(Subject::new).collect();
        let batches = batches(&subjects, self.batch as usize, self.horizon, &events);
        let progress = Progress::bar(2 * subjects.len() as u64, "forecasting");
        let engine = Engine {
            generation: &forecaster.generation,
            configuration: &forecaster.configuration,
            seed: self.seed,
            horizon: self.horizon,
            seasons: &seasons,
            events: &events,
            progress: &progress,
            spent: &AtomicU64::new(0),
        };
        let outcomes = engine.run(&batches)?;
        drop(progress);
        self.output
            .write(|out| rows::write(out, &subjects, &outcomes))
            .context("the forecasts were not written")?;
        self.complain(&subjects, &outcomes)
    }

    fn complain(&self, subjects: &[Subject], outcomes: &[Outcome]) -> anyhow::Result<()> {
        let failed: Vec<(&Subject, &String)> = subjects
            .iter()
            .zip(outcomes)
            .filter_map(|(subject, outcome)| outcome.as_ref().err().map(|why| (subject, why)))
            .collect();
        for (subject, why) in failed.iter().take(WARNINGS) {
            output::note(format_args!("warning: series {}: {why}", subject.series.id));
        }
        if failed.len() > WARNINGS {
            output::note(format_args!("warning: ... and {} more", failed.len() - WARNINGS));
        }
        if !failed.is_empty() && !self.skip_failed {
            bail!(
                "{} of {} series could not be forecast: mend them, or leave them out with --skip-failed",
                failed.len(),
                subjects.len()
            );
        }
        Ok(())
    }
}
