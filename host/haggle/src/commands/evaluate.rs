//! `haggle evaluate`

mod picture;
mod score;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::{Context, bail};
use clap::{Args, value_parser};
use haggle_model::{CalendarEvent, Name, Series};
use haggle_observe::open_panel;
use haggle_sandbox::forecasting::Outlook;
use serde::Serialize;

use self::{
    picture::Picture,
    score::{Score, means, median, scale, score, seasonal_naive},
};
use super::{
    file::FileArgs,
    forecast::{
        batches::batches,
        engine::Engine,
        events,
        plugin::{Forecaster, Wanted, load},
        subject::Subject,
    },
};
use crate::{
    output::{self, Target},
    progress::Progress,
    table::{Header, Table},
};

/// Compare forecasting plugins on your own data
///
/// The command forecasts the past from several origins, each time from the data before the origin, and
/// compares the forecasts with the actual values (rolling-origin evaluation). The file format is that of
/// `haggle forecast`. The last row is a baseline: with --season the seasonal naive forecast, which repeats
/// the last season, otherwise the naive forecast, which repeats the last value. A plugin that does not beat
/// the baseline is not worth running.
///
/// MASE and pinball90 are relative to the baseline's error within the history: below 1 is better. pinball90
/// scores the upper bound of the 80% interval as the 90% quantile, which capacity planning uses. Good
/// intervals have a coverage close to their level.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Evaluate {
    /// The file with the series
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    #[command(flatten)]
    file: FileArgs,
    /// Number of steps to forecast
    #[arg(long, value_name = "STEPS", value_parser = value_parser!(u32).range(1..=10_000))]
    horizon: u32,
    /// Number of origins, one horizon apart; the last one is a horizon before the end
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = value_parser!(u32).range(1..=1000))]
    origins: u32,
    /// Length of a season in steps; may be repeated. Without it, the plugins detect seasons
    #[arg(long = "season", value_name = "STEPS", value_parser = value_parser!(u32).range(1..=1_000_000))]
    seasons: Vec<u32>,
    /// Events that change the series, as for `haggle forecast`; future events are known at every origin
    #[arg(long, value_name = "FILE|DIR")]
    events: Option<PathBuf>,
    /// The built-in plugins to compare, separated by commas; default: the default plugin
    #[arg(long = "plugin", value_name = "NAME,...", value_delimiter = ',')]
    plugins: Vec<Name>,
    /// Your own plugin, a .wasm file; may be repeated
    #[arg(long = "component", value_name = "FILE")]
    components: Vec<PathBuf>,
    /// Maximum number of series to fit together
    #[arg(long, value_name = "SERIES", default_value_t = 64, value_parser = value_parser!(u32).range(1..=100_000))]
    batch: u32,
    /// Seed of the plugins' random numbers
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Draw the last forecasts of each series into this folder as SVG
    #[arg(long, value_name = "DIR")]
    pictures: Option<PathBuf>,
    /// Write the results as JSON, to standard output or a file
    #[arg(long, value_name = "OUT", num_args = 0..=1, default_missing_value = "-")]
    json: Option<Target>,
    /// Keep compiled plugins in this folder; no other user may have access to it
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  haggle evaluate --input load.csv --horizon 12 --origins 5
  haggle evaluate --input hourly.csv --horizon 48 --season 24 --plugin ensemble,theta,arima
  haggle evaluate --input load.csv --horizon 12 --component my-plugin.wasm --pictures ./pictures";

/// The name of the baseline, with and without seasons.
const NAIVE: [&str; 2] = ["(seasonal naive)", "(naive)"];

/// History to draw before the forecast, as a multiple of the horizon.
const DRAWN: usize = 6;

/// The known values at one origin, and the actual values after it, for every series that is long enough.
struct Origin<'a> {
    subjects: Vec<Subject>,
    known: Vec<Known<'a>>,
}

#[derive(Clone, Copy)]
struct Known<'a> {
    id: &'a str,
    history: &'a [f64],
    came: &'a [f64],
    scale: f64,
}

/// The results of one plugin.
#[derive(Debug, Serialize)]
struct Evaluation {
    plugin: String,
    /// Number of forecasts that were scored.
    forecasts: usize,
    /// Number of forecasts that the plugin did not make.
    failed: usize,
    #[serde(flatten)]
    mean: Score,
    median_mase: f64,
    median_pinball90: f64,
    /// CPU time of fitting and forecasting one series from one origin, in milliseconds.
    milliseconds: f64,
    /// The forecasts from the last origin.
    #[serde(skip)]
    last: Vec<Option<Outlook>>,
}

impl Evaluate {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let panel = open_panel(&self.input, &self.file.options())?;
        let mut seasons = self.seasons.clone();
        seasons.sort_unstable();
        seasons.dedup();
        let season = seasons.first().copied().unwrap_or(1) as usize;
        let events = events::open(self.events.as_deref())?;
        let origins = self.origins(&panel, season)?;
        let plugins = self.plugins()?;
        let total: usize = origins.iter().map(|origin| origin.subjects.len()).sum();
        let progress = Progress::bar(2 * (total * plugins.len()) as u64, "forecasting the past");
        let mut found = Vec::new();
        for (name, forecaster) in &plugins {
            progress.say(format!("forecasting the past with {name}"));
            found.push(self.evaluate(name, forecaster, &origins, &seasons, &events, &progress)?);
        }
        drop(progress);
        if let Some(folder) = &self.pictures {
            self.draw(folder, &origins, &found)?;
        }
        found.push(self.naive(&origins, season));
        match &self.json {
            Some(target) => {
                let json = serde_json::to_string_pretty(&found).context("the figures")?;
                target.write(|out| writeln!(out, "{json}"))
            }
            None => output::line(table(&found)),
        }
    }

    fn origins<'a>(
        &self,
        panel: &'a [(String, Series)],
        season: usize,
    ) -> anyhow::Result<Vec<Origin<'a>>> {
        let (horizon, count) = (self.horizon as usize, self.origins as usize);
        let mut origins = Vec::new();
        for back in (1..=count).rev() {
            let mut origin = Origin { subjects: Vec::new(), known: Vec::new() };
            for (id, series) in panel {
                let Some(cut) = series.values.len().checked_sub(back * horizon) else { continue };
                let (history, rest) = series.values.split_at(cut);
                if history.iter().filter(|value| !value.is_nan()).count() < 2 {
                    continue;
                }
                let came = rest.get(..horizon).unwrap_or(rest);
                let known = Series { values: history.to_vec(), ..series.clone() };
                origin.subjects.push(Subject::new((id.clone(), known)));
                let scale = scale(history, season);
                origin.known.push(Known { id, history, came, scale });
            }
            if !origin.subjects.is_empty() {
                origins.push(origin);
            }
        }
        if origins.is_empty() {
            bail!(
                "no series of {} has more than {horizon} values: ask for a shorter --horizon",
                self.input.display()
            );
        }
        if origins.len() < count {
            output::note(format_args!(
                "warning: the series are long enough for {} of {count} origins",
                origins.len()
            ));
        }
        Ok(origins)
    }

    fn plugins(&self) -> anyhow::Result<Vec<(String, Forecaster)>> {
        let cache = self.cache.as_deref();
        let mut wanted: Vec<Wanted<'_>> = Vec::new();
        wanted.extend(
            self.plugins.iter().map(|name| Wanted { plugin: Some(name), ..Wanted::default() }),
        );
        let component = |file| Wanted { component: Some(file), ..Wanted::default() };
        wanted.extend(self.components.iter().map(|file| component(file.as_path())));
        if wanted.is_empty() {
            wanted.push(Wanted::default());
        }
        wanted
            .into_iter()
            .map(|wanted| {
                let forecaster = load(Wanted { cache, ..wanted })?;
                Ok((forecaster.generation.plugin().to_owned(), forecaster))
            })
            .collect()
    }

    fn evaluate(
        &self,
        name: &str,
        forecaster: &Forecaster,
        origins: &[Origin<'_>],
        seasons: &[u32],
        events: &[CalendarEvent],
        progress: &Progress,
    ) -> anyhow::Result<Evaluation> {
        let spent = AtomicU64::new(0);
        let engine = Engine {
            generation: &forecaster.generation,
            configuration: &forecaster.configuration,
            seed: self.seed,
            horizon: self.horizon,
            seasons,
            events,
            progress,
            spent: &spent,
        };
        let mut all = Vec::new();
        // Run the origins separately, so that a model for all series never sees later values.
        for Origin { subjects, .. } in origins {
            let batches = batches(subjects, self.batch as usize, self.horizon, events);
            let outlooks = engine.run(&batches).with_context(|| format!("plugin {name}"))?;
            all.push(outlooks.into_iter().map(Result::ok).collect());
        }
        Ok(evaluation(name, origins, all, spent.load(Ordering::Relaxed)))
    }

    fn naive(&self, origins: &[Origin<'_>], season: usize) -> Evaluation {
        let forecast =
            |known: &Known<'_>| Some(seasonal_naive(known.history, season, self.horizon as usize));
        let all = origins.iter().map(|origin| origin.known.iter().map(forecast).collect());
        let [seasonal, plain] = NAIVE;
        let name = if season > 1 { seasonal } else { plain };
        evaluation(name, origins, all.collect(), 0)
    }

    fn draw(
        &self,
        folder: &Path,
        origins: &[Origin<'_>],
        found: &[Evaluation],
    ) -> anyhow::Result<()> {
        let Some(last) = origins.last() else { return Ok(()) };
        let failed = || format!("cannot draw into {}", folder.display());
        fs::create_dir_all(folder).with_context(failed)?;
        for (place, known) in last.known.iter().enumerate() {
            let drawn: Vec<(&str, &Outlook)> = found
                .iter()
                .filter_map(|one| Some((one.plugin.as_str(), one.last.get(place)?.as_ref()?)))
                .collect();
            let from = known.history.len().saturating_sub(DRAWN * self.horizon as usize);
            let history = known.history.get(from..).unwrap_or_default();
            let picture = Picture { title: known.id, history, came: known.came, forecasts: &drawn };
            let file = folder.join(format!("{place:04}-{}.svg", file_name(known.id)));
            fs::write(file, picture.svg()).with_context(failed)?;
        }
        Ok(())
    }
}

fn evaluation(
    plugin: &str,
    origins: &[Origin<'_>],
    mut all: Vec<Vec<Option<Outlook>>>,
    nanoseconds: u64,
) -> Evaluation {
    let known = origins.iter().flat_map(|origin| &origin.known);
    let scores: Vec<Score> = known
        .zip(all.iter().flatten())
        .filter_map(|(known, outlook)| score(outlook.as_ref()?, known.came, known.scale))
        .collect();
    let asked: usize = all.iter().map(Vec::len).sum();
    let failed = all.iter().flatten().filter(|outlook| outlook.is_none()).count();
    Evaluation {
        plugin: plugin.to_owned(),
        forecasts: scores.len(),
        failed,
        mean: means(&scores),
        median_mase: median(&scores, |score| score.mase),
        median_pinball90: median(&scores, |score| score.pinball90),
        milliseconds: nanoseconds as f64 / 1e6 / asked.max(1) as f64,
        last: all.pop().unwrap_or_default(),
    }
}

fn table(found: &[Evaluation]) -> Table {
    let mut table = Table::new([
        Header::Left("plugin"),
        Header::Right("forecasts"),
        Header::Right("failed"),
        Header::Right("MASE"),
        Header::Right("median MASE"),
        Header::Right("sMAPE"),
        Header::Right("pinball90"),
        Header::Right("coverage80"),
        Header::Right("coverage95"),
        Header::Right("ms/series"),
    ]);
    for one in found {
        let Evaluation { plugin, forecasts, failed, mean, median_mase, milliseconds, .. } = one;
        table.row([
            plugin.clone(),
            forecasts.to_string(),
            failed.to_string(),
            format!("{:.3}", mean.mase),
            format!("{median_mase:.3}"),
            format!("{:.2}", mean.smape),
            format!("{:.3}", mean.pinball90),
            format!("{:.3}", mean.coverage80),
            format!("{:.3}", mean.coverage95),
            format!("{milliseconds:.2}"),
        ]);
    }
    table
}

/// Replaces the characters of an id that are not safe in file names, and shortens it.
fn file_name(id: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    id.chars().take(80).map(plain).collect()
}
