use std::rc::Rc;

use haggle_forecasting::{Clock, Method, Prepared, Reader, Setting, Unreadable, Writer, mean};

use crate::{
    boost::{Training, train},
    features::{Frame, WIDTH},
    table::Table,
    tree::Forest,
};

/// A series that is forecast by a forest, which may have learnt from many series: its frame, its last values and
/// the forest. The forest is written separately, and [attached](Boosted::attach) after reading.
#[derive(Clone, Debug, PartialEq)]
pub struct Boosted {
    frame: Frame,
    tail: Vec<f64>,
    forest: Rc<Forest>,
}

/// The largest number of origins of a series that give rows.
const ORIGINS: usize = 100;
/// The largest number of rows of a panel: so many fit into 30 MB.
pub const MOST_ROWS: usize = 240_000;
/// The largest number of rows of an origin.
const STEPS: usize = 8;
/// The share by which a season must improve the naive forecast.
const WORTH: f64 = 0.05;
/// Bounds on what is accepted from bytes.
const MOST_SEASON: usize = 1 << 20;

impl Boosted {
    /// The series with a forest that has learnt nothing yet.
    #[must_use]
    pub fn untaught(series: &Prepared, setting: &Setting<'_>) -> Self {
        let frame = frame(&series.clean, setting);
        let from = series.clean.len().saturating_sub(frame.needs());
        let tail = series.clean.get(from..).unwrap_or_default().to_vec();
        Self { frame, tail, forest: Rc::default() }
    }

    /// The season that explains the series, in steps; 0 where none does.
    #[must_use]
    pub fn season(&self) -> usize {
        self.frame.season
    }

    /// Replaces the forest.
    pub fn attach(&mut self, forest: &Rc<Forest>) {
        self.forest = Rc::clone(forest);
    }

    /// Adds rows of features and targets from the first `until` values of the series, up to its fair share of
    /// [`MOST_ROWS`] in a panel of `panel` series.
    pub fn teach(&self, series: &Prepared, until: usize, panel: usize, lesson: &mut Lesson) {
        let known = series.values.get(..until).unwrap_or(&series.values);
        let horizon = self.frame.horizon;
        let from = (self.frame.needs() / 2).max(known.len() / 4).max(1);
        let room = known.len().saturating_sub(from);
        let origins = (MOST_ROWS / panel.max(1) / STEPS).clamp(1, ORIGINS);
        let stride = room.div_ceil(origins).max(1);
        let mut turn = 0;
        for origin in (from..known.len()).step_by(stride) {
            let past = self.recent(series.clean.get(..origin).unwrap_or_default());
            let origin_of = self.frame.origin(past);
            for part in 0..STEPS.min(horizon) {
                // The steps ahead rotate, so that every step is used, whatever the number of origins.
                turn += 1;
                let ahead = 1 + (part * horizon / STEPS.min(horizon) + turn) % horizon;
                let Some(came) = known.get(origin + ahead - 1).filter(|v| !v.is_nan()) else {
                    continue;
                };
                let time = series.start + series.step * (origin + ahead - 1) as u64;
                let base = origin_of.base(ahead);
                lesson.features.extend(origin_of.features(ahead, time, base));
                let target = (came - base) / self.frame.unit;
                lesson.targets.push(target.clamp(-MOST_TARGET, MOST_TARGET));
            }
        }
    }

    /// Adds the forest's predictions, from one row of features for each step, to the base forecasts in `means`.
    fn add_beyond(&self, rows: &[[f32; WIDTH]], means: &mut [f64]) {
        let beyond = self.forest.predict_all(rows);
        means.iter_mut().zip(beyond).for_each(|(mean, off)| *mean += self.frame.unit * off);
    }

    fn recent<'a>(&self, past: &'a [f64]) -> &'a [f64] {
        past.get(past.len().saturating_sub(self.frame.needs())..).unwrap_or(past)
    }
}

/// Targets are clamped to so many units.
const MOST_TARGET: f64 = 30.0;

/// Rows to train on.
#[derive(Clone, Debug, Default)]
pub struct Lesson {
    features: Vec<f32>,
    targets: Vec<f64>,
}

impl Lesson {
    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.targets.len()
    }

    /// Trains a forest on it.
    #[must_use]
    pub fn learn(&self, training: &Training) -> Rc<Forest> {
        Rc::new(train(&Table::of(&self.features, &self.targets, WIDTH), training))
    }
}

impl Method for Boosted {
    const NAME: &'static str = "gradient-boosting";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "Gradient boosting over lags, levels and calendar, which learns across all series of a panel, \
         with intervals from the errors made.";
    const TAG: [u8; 5] = *b"HGGB\x01";

    fn fit(series: &Prepared, setting: &Setting<'_>) -> Self {
        let mut boosted = Self::untaught(series, setting);
        let mut lesson = Lesson::default();
        boosted.teach(series, series.values.len(), 1, &mut lesson);
        boosted.attach(&lesson.learn(&Training::default()));
        boosted
    }

    fn rewind(&self, series: &Prepared) -> (Self, usize) {
        let from = self.frame.needs().min(series.clean.len() / 2).max(1);
        let tail = self.recent(series.clean.get(..from).unwrap_or_default()).to_vec();
        (Self { tail, frame: self.frame, forest: Rc::clone(&self.forest) }, from)
    }

    fn update(&mut self, values: &[f64], _: &Clock<'_>) {
        for value in values {
            let known = if value.is_nan() { self.frame.origin(&self.tail).base(1) } else { *value };
            self.tail.push(known);
        }
        let spare = self.tail.len().saturating_sub(self.frame.needs());
        self.tail.drain(..spare);
    }

    fn expect(&self, clock: &Clock<'_>, means: &mut [f64]) {
        let origin = self.frame.origin(&self.tail);
        let row = |(place, mean): (usize, &mut f64)| {
            *mean = origin.base(place + 1);
            origin.features(place + 1, clock.at(place), *mean)
        };
        let rows: Vec<[f32; WIDTH]> = means.iter_mut().enumerate().map(row).collect();
        self.add_beyond(&rows, means);
    }

    fn advance(&mut self, values: &[f64], clock: &Clock<'_>) -> Vec<f64> {
        let mut row = |(place, value): (usize, &f64)| {
            let clock = clock.after(place);
            let origin = self.frame.origin(&self.tail);
            let base = origin.base(1);
            let features = origin.features(1, clock.start, base);
            self.update(&[*value], &clock);
            (base, features)
        };
        let (mut means, rows): (Vec<f64>, Vec<[f32; WIDTH]>) =
            values.iter().enumerate().map(&mut row).unzip();
        self.add_beyond(&rows, &mut means);
        means
    }

    fn deviations(&self, deviations: &mut [f64]) {
        let season = self.frame.season.max(1);
        let grown = |h: usize| if season > 1 { (h / season + 1) as f64 } else { (h + 1) as f64 };
        deviations.iter_mut().enumerate().for_each(|(h, deviation)| *deviation = grown(h).sqrt());
    }

    fn write(&self, out: &mut Writer) {
        out.length(self.frame.season);
        out.length(self.frame.long);
        out.length(self.frame.horizon);
        out.number(self.frame.unit);
        out.profile(&self.tail);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let (season, long) = (input.length(MOST_SEASON)?, input.length(MOST_SEASON)?);
        let horizon = input.length(MOST_SEASON)?;
        let unit = input.number()?;
        let frame = Frame { season, long, unit, horizon };
        let tail = input.profile(frame.needs())?;
        if unit > 0.0 && !tail.is_empty() {
            Ok(Self { frame, tail, forest: Rc::default() })
        } else {
            Err(Unreadable)
        }
    }

    fn longest_season(&self) -> usize {
        self.frame.season.max(self.frame.long)
    }
}

/// Chooses the season with the best seasonal naive forecast, if it is good enough, and a longer one.
fn frame(values: &[f64], setting: &Setting<'_>) -> Frame {
    let change = |lag: usize| {
        let later = values.get(lag..).unwrap_or_default();
        mean(values.iter().zip(later).map(|(a, b)| (b - a).abs()))
    };
    let horizon = setting.horizon.max(1);
    // The mean change over the steps ahead, estimated from a few of them.
    let reach = horizon.min(values.len() / 2).max(1);
    let naive = mean((1..=reach).step_by((reach / 8) | 1).map(change));
    let fits = |season: &&usize| 3 * **season <= values.len();
    let seasons = setting.seasons.iter().filter(fits).map(|season| (change(*season), *season));
    let best = seasons.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let (unit, season) = match best {
        Some((seasonal, season)) if seasonal < (1.0 - WORTH) * naive => (seasonal, season),
        _ => (change(1), 0),
    };
    // The shortest season of which the best one is a multiple gives the place in the day.
    let divides = |short: &&usize| season > 0 && **short < season && season.is_multiple_of(**short);
    let short = setting.seasons.iter().find(divides).copied().unwrap_or(season);
    let multiple = |long: &&usize| **long > short && short > 0 && long.is_multiple_of(short);
    let long = setting.seasons.iter().filter(|long| 2 * **long < values.len()).find(multiple);
    Frame { season: short, long: long.copied().unwrap_or(0), unit: unit.max(1e-3), horizon }
}
