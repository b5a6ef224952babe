use std::f64::consts::TAU;

use haggle_forecasting::{Clock, Method, Prepared, Reader, Setting, Unreadable, Writer, dot, mean};

use crate::{
    readout::{Examples, Readout, WIDTH},
    reservoir::{INPUTS, Reservoir},
};

/// A series that is forecast by an echo state network: the network's output is added to a base forecast. That
/// repeats the last period or, without a season, a slowly moving level.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    season: usize,
    readout: Readout,
    reservoir: Reservoir,
    /// The last period, oldest value first; without a season the last value alone.
    period: Vec<f64>,
    /// The level.
    level: f64,
    /// The network that was trained on the first part of the history alone, and the length of that part. Its
    /// forecasts of the rest are judged. It is not written with the model.
    early: Option<Box<(Self, usize)>>,
}

/// The first share of the history, which the early network is trained on.
const EARLY: f64 = 0.6;
/// The number of first values that only initialise the reservoir.
const WASHOUT: usize = 20;
/// How quickly the level follows.
const LEVEL_GAIN: f64 = 0.2;
/// The penalties tried for the readout, relative to the number of examples.
const RIDGES: [f64; 4] = [0.003, 0.02, 0.1, 0.5];
/// The last share of the examples, by which the penalties are judged.
const HELD_BACK: f64 = 0.25;
/// Inputs are clamped to this magnitude, so that no neuron saturates permanently.
const FAR: f64 = 8.0;
/// The share by which a season must improve the naive forecast.
const WORTH: f64 = 0.05;
/// Bounds on what is accepted from bytes.
const MOST_SEASON: usize = 1 << 20;

impl Network {
    fn untrained(season: usize) -> Self {
        Self {
            season,
            readout: Readout { maps: Vec::new() },
            reservoir: Reservoir::default(),
            period: Vec::new(),
            level: 0.0,
            early: None,
        }
    }

    /// The base forecast of the step `ahead` (from 1), without the network.
    fn base(&self, ahead: usize) -> f64 {
        if self.season > 1 {
            let place = (ahead - 1) % self.period.len().max(1);
            self.period.get(place).copied().unwrap_or(self.level)
        } else {
            self.level
        }
    }

    /// Updates the state with one value, which is not missing, at its time.
    fn take_in(&mut self, value: f64, time: u64, step: u64) {
        let off = if self.season > 1 { value - self.base(1) } else { value - self.level };
        let turn = if self.season > 1 {
            (time / step.max(1) % self.season as u64) as f64 / self.season as f64 * TAU
        } else {
            0.0
        };
        let place = if self.season > 1 { [turn.sin(), turn.cos()] } else { [0.0, 0.0] };
        let inputs: [f64; INPUTS] = [off.clamp(-FAR, FAR), place[0], place[1]];
        self.reservoir.update(inputs);
        self.level = if self.period.is_empty() {
            value
        } else {
            self.level + LEVEL_GAIN * (value - self.level)
        };
        if self.period.len() < self.season.max(2) {
            self.period.push(value);
        } else {
            self.period.copy_within(1.., 0);
            if let Some(last) = self.period.last_mut() {
                *last = value;
            }
        }
    }

    /// The inputs of the readout.
    fn seen(&self) -> [f64; WIDTH] {
        let mut seen = [1.0; WIDTH];
        let back =
            |count: usize| self.period.iter().rev().nth(count).copied().unwrap_or(self.level);
        let values = [back(0) - self.level, back(1) - self.level];
        let rest = values.into_iter().map(|v| v.clamp(-FAR, FAR)).chain(self.reservoir.neurons);
        seen.iter_mut().skip(1).zip(rest).for_each(|(seen, value)| *seen = value);
        seen
    }

    /// Runs an untrained network over a whole history. Returns its final state, its state after the first `part`
    /// values, and the examples to learn from.
    fn pass(series: &Prepared, season: usize, part: usize, reach: usize) -> (Self, Self, Lesson) {
        let mut network = Self::untrained(season);
        let mut early = network.clone();
        let mut lesson = Lesson::new(season.max(1) + WASHOUT, reach);
        for (place, value) in series.clean.iter().enumerate() {
            if place == part {
                early = network.clone();
            }
            let time = series.start.saturating_add(series.step.saturating_mul(place as u64));
            network.take_in(*value, time, series.step);
            if place >= lesson.begin {
                lesson.seen.push(network.seen());
                let beyond = |ahead: &usize| {
                    let came = series.values.get(place + ahead).copied().unwrap_or(f64::NAN);
                    (came - network.base(*ahead)).clamp(-3.0 * FAR, 3.0 * FAR)
                };
                lesson.wanted.extend(lesson.anchors.iter().map(beyond));
            }
        }
        (network, early, lesson)
    }
}

/// The examples of a history: the inputs of the readout after each value, and how far the later values are from
/// their base forecasts, at each anchor.
struct Lesson {
    /// The place of the first example.
    begin: usize,
    anchors: Vec<usize>,
    seen: Vec<[f64; WIDTH]>,
    /// One for each anchor of each example.
    wanted: Vec<f64>,
}

impl Lesson {
    fn new(begin: usize, reach: usize) -> Self {
        let anchors = Readout::anchors(reach);
        Self { begin, anchors, seen: Vec::new(), wanted: Vec::new() }
    }

    /// Trains a readout on the first `until` values, with the penalty that is best on the last part of them. The
    /// readout is empty if none is better there than the base forecast alone.
    fn learn(&self, until: usize) -> Readout {
        let reach = self.anchors.last().copied().unwrap_or(1);
        let wanted = self.wanted.chunks_exact(self.anchors.len().max(1));
        // An example counts only if the values at all its anchors are known.
        let full = until.saturating_sub(self.begin + reach);
        let learnt = ((1.0 - HELD_BACK) * full as f64) as usize;
        let mut rows = self.seen.iter().zip(wanted).take(full);
        let mut examples = Examples::new(&self.anchors);
        rows.by_ref().take(learnt).for_each(|(seen, wanted)| examples.add(seen, wanted));
        let loss = |readout: &Readout| {
            let off = rows.clone().flat_map(|(seen, wanted)| {
                let maps = readout.maps.iter().zip(wanted);
                maps.map(|((_, map), wanted)| (wanted - dot(map, seen)).abs())
            });
            off.filter(|off| !off.is_nan()).sum::<f64>()
        };
        let tried = RIDGES.map(|ridge| (loss(&examples.readout(ridge)), ridge));
        let nothing =
            Readout { maps: self.anchors.iter().map(|h| (*h, vec![0.0; WIDTH])).collect() };
        let best = tried.into_iter().min_by(|a, b| a.0.total_cmp(&b.0));
        match best {
            Some((least, ridge)) if least < loss(&nothing) => {
                rows.for_each(|(seen, wanted)| examples.add(seen, wanted));
                examples.readout(ridge)
            }
            _ => Readout { maps: Vec::new() },
        }
    }
}

impl Method for Network {
    const NAME: &'static str = "recurrent-network";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "A small recurrent network (an echo state network) for every series, trained in the component, \
         with intervals from the errors made.";
    const TAG: [u8; 5] = *b"HGRN\x01";

    fn fit(series: &Prepared, setting: &Setting<'_>) -> Self {
        let count = series.clean.len();
        let season = season(&series.clean, setting);
        let part = (EARLY * count as f64) as usize;
        let judged = if part > season { part } else { count };
        let reach = setting.horizon.min(judged / 3).max(1);
        let (mut network, mut early, lesson) = Self::pass(series, season, part, reach);
        network.readout = lesson.learn(count);
        if part > season {
            early.readout = lesson.learn(part);
            network.early = Some(Box::new((early, part)));
        }
        network
    }

    fn rewind(&self, _: &Prepared) -> (Self, usize) {
        match &self.early {
            Some(early) => (early.0.clone(), early.1),
            None => (Self { readout: self.readout.clone(), ..Self::untrained(self.season) }, 0),
        }
    }

    fn update(&mut self, values: &[f64], clock: &Clock<'_>) {
        for (place, value) in values.iter().enumerate() {
            let known = if value.is_nan() { self.base(1) } else { *value };
            self.take_in(known, clock.at(place), clock.step);
        }
    }

    fn expect(&self, _: &Clock<'_>, means: &mut [f64]) {
        self.readout.say(&self.seen(), means);
        means.iter_mut().zip(1..).for_each(|(mean, ahead)| *mean += self.base(ahead));
    }

    fn deviations(&self, deviations: &mut [f64]) {
        let season = self.season.max(1);
        deviations.iter_mut().enumerate().for_each(|(h, deviation)| {
            *deviation = ((h / season + 1) as f64).sqrt();
        });
    }

    fn write(&self, out: &mut Writer) {
        out.length(self.season);
        out.number(self.level);
        out.profile(&self.period);
        self.reservoir.neurons.iter().for_each(|neuron| out.short(*neuron));
        self.readout.write(out);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let season = input.length(MOST_SEASON)?;
        let level = input.number()?;
        let period = input.profile(season.max(2))?;
        let mut reservoir = Reservoir::default();
        for neuron in &mut reservoir.neurons {
            *neuron = input.short()?.clamp(-1.0, 1.0);
        }
        let readout = Readout::read(input)?;
        Ok(Self { season, readout, reservoir, period, level, early: None })
    }

    fn longest_season(&self) -> usize {
        self.season
    }
}

/// The season with the best seasonal naive forecast, if it is good enough; otherwise 0.
fn season(values: &[f64], setting: &Setting<'_>) -> usize {
    let change = |lag: usize| {
        let later = values.get(lag..).unwrap_or_default();
        mean(values.iter().zip(later).map(|(a, b)| (b - a).abs()))
    };
    // The mean change over the steps ahead, estimated from a few of them.
    let reach = setting.horizon.min(values.len() / 2).max(1);
    let naive = mean((1..=reach).step_by((reach / 8) | 1).map(change));
    let fits = |season: &&usize| 3 * **season <= values.len();
    let seasons = setting.seasons.iter().filter(fits).map(|season| (change(*season), *season));
    match seasons.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))) {
        Some((seasonal, season)) if seasonal < (1.0 - WORTH) * naive => season,
        _ => 0,
    }
}
