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
use crate::{
    output::{self, Target},
    progress::Progress,
};

/// Forecast every series of a file
///
/// The file is CSV, gzipped or not: either a series a row (`id,value,value,...`, as in the M4 competition) or
/// a series a column, below a header and with the time in the first column. An empty cell is a missing
/// value. The result has a row for each series and step with the mean and the 80% and 95% intervals:
/// `series,step,mean,lo80,hi80,lo95,hi95`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Forecast {
    /// The series
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// How many steps ahead
    #[arg(long, value_name = "STEPS", value_parser = value_parser!(u32).range(1..=10_000))]
    horizon: u32,
    /// A season's length in steps; several may be given, and none means: detect them
    #[arg(long = "season", value_name = "STEPS", value_parser = value_parser!(u32).range(1..=1_000_000))]
    seasons: Vec<u32>,
    /// Events that change the series: a YAML file of documents of the kind calendar_event, or a folder of such files.
    /// Those that name services concern the series of these names
    #[arg(long, value_name = "FILE|DIR")]
    events: Option<PathBuf>,
    /// The built-in plugin that forecasts
    #[arg(long, value_name = "NAME", conflicts_with = "component")]
    plugin: Option<Name>,
    /// A plugin of your own: the .wasm file
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
    /// The configuration of the plugin: a JSON object, or @FILE that holds one
    #[arg(long, value_name = "JSON|@FILE")]
    configuration: Option<String>,
    /// Where the forecasts go; - is standard output
    #[arg(long, value_name = "OUT.csv|-")]
    output: Target,
    /// The most series that are fitted together
    #[arg(long, value_name = "SERIES", default_value_t = 64, value_parser = value_parser!(u32).range(1..=100_000))]
    batch: u32,
    /// The seed of whatever the plugin draws at random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Leave out series that cannot be forecast, and succeed all the same
    #[arg(long)]
    skip_failed: bool,
    /// Keep compiled plugins in this folder, which must be private to you
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  haggle forecast --input hourly.csv --horizon 48 --season 24 --output forecast.csv
  haggle forecast --input load.csv.gz --horizon 12 --output - | head
  haggle forecast --input load.csv --horizon 12 --component my-plugin.wasm --output forecast.csv";

/// Warnings about single series stop after so many.
const WARNINGS: usize = 20;

impl Forecast {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let panel = open_panel(&self.input)?;
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
