use std::f64::consts::TAU;

use haggle_forecasting::{Clock, Method, Prepared, Reader, Setting, Unreadable, Writer, mean};

use crate::{
    readout::{Readout, WIDTH},
    reservoir::{INPUTS, Reservoir},
};

/// A series that is forecast by an echo state network: what the network says is added to a base forecast,
/// the values of the last period or, without a season, a slowly moving level.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    season: usize,
    readout: Readout,
    reservoir: Reservoir,
    /// The last period, oldest value first; without a season the last value alone.
    period: Vec<f64>,
    /// The level.
    level: f64,
    /// What was trained on the first part of the history alone, which the rest is judged by. It is not
    /// kept with the model.
    early: Option<Box<(Self, usize)>>,
}

/// The share of the history that forecasts of the rest are judged by.
const EARLY: f64 = 0.6;
/// The first values only wake the reservoir.
const WASHOUT: usize = 20;
/// How quickly the level follows.
const LEVEL_GAIN: f64 = 0.2;
/// The penalties tried for the readout, relative to the number of examples.
const RIDGES: [f64; 4] = [0.003, 0.02, 0.1, 0.5];
/// What is tried out is judged by the last part of what it is trained on.
const HELD_BACK: f64 = 0.25;
/// Inputs are drawn in to this, so that nothing saturates for good.
const FAR: f64 = 8.0;
/// A season must make the seasonal naive forecast better by this share.
const WORTH: f64 = 0.05;
/// Bounds on what is believed of foreign bytes.
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

    /// What is expected of the step `ahead` (from 1) without the network.
    fn base(&self, ahead: usize) -> f64 {
        if self.season > 1 {
            let place = (ahead - 1) % self.period.len().max(1);
            self.period.get(place).copied().unwrap_or(self.level)
        } else {
            self.level
        }
    }

    /// Takes in one value that is present, at its time.
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
            self.period.rotate_left(1);
            if let Some(last) = self.period.last_mut() {
                *last = value;
            }
        }
    }

    /// What the readout sees.
    fn seen(&self) -> [f64; WIDTH] {
        let mut seen = [1.0; WIDTH];
        let back =
            |count: usize| self.period.iter().rev().nth(count).copied().unwrap_or(self.level);
        let values = [back(0) - self.level, back(1) - self.level];
        let rest = values.into_iter().map(|v| v.clamp(-FAR, FAR)).chain(self.reservoir.neurons);
        seen.iter_mut().skip(1).zip(rest).for_each(|(seen, value)| *seen = value);
        seen
    }

    /// Trains on the first `until` values and ends after them.
    fn train(series: &Prepared, until: usize, season: usize, horizon: usize) -> Self {
        let mut network = Self::untrained(season);
        let anchors = Readout::anchors(horizon.min(until / 3).max(1));
        let known = series.clean.get(..until).unwrap_or(&series.clean);
        let begin = season.max(1) + WASHOUT;
        let (mut seen, mut wanted) = (Vec::new(), Vec::new());
        for (place, value) in known.iter().enumerate() {
            let time = series.start.saturating_add(series.step.saturating_mul(place as u64));
            network.take_in(*value, time, series.step);
            if place >= begin {
                seen.push(network.seen());
                let beyond = |ahead: &usize| {
                    let came = series.values.get(place + ahead).filter(|_| place + ahead < until);
                    let off = came.map_or(f64::NAN, |came| came - network.base(*ahead));
                    off.clamp(-3.0 * FAR, 3.0 * FAR)
                };
                wanted.push(anchors.iter().map(beyond).collect::<Vec<f64>>());
            }
        }
        let reach = anchors.last().copied().unwrap_or(1);
        // What is not known yet must not count as known for some anchors and not for others.
        let full = seen.len().saturating_sub(reach);
        seen.truncate(full);
        wanted.truncate(full);
        let (learnt, held) = (((1.0 - HELD_BACK) * full as f64) as usize, full);
        let loss = |readout: &Readout| {
            let rest = seen.iter().zip(&wanted).take(held).skip(learnt);
            let off =
                rest.flat_map(|(seen, wanted)| {
                    readout.maps.iter().zip(wanted).map(|((_, map), wanted)| {
                        (wanted - haggle_forecasting::dot(map, seen)).abs()
                    })
                });
            off.filter(|off| !off.is_nan()).sum::<f64>()
        };
        let (first, targets) = (seen.get(..learnt), wanted.get(..learnt));
        let (first, targets) = (first.unwrap_or_default(), targets.unwrap_or_default());
        let tried =
            RIDGES.map(|ridge| (loss(&Readout::train(&anchors, first, targets, ridge)), ridge));
        let nothing =
            loss(&Readout { maps: anchors.iter().map(|h| (*h, vec![0.0; WIDTH])).collect() });
        let best = tried.into_iter().min_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((loss, ridge)) = best
            && loss < nothing
        {
            network.readout = Readout::train(&anchors, &seen, &wanted, ridge);
        }
        network
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
        let mut all = Self::train(series, count, season, setting.horizon);
        let part = (EARLY * count as f64) as usize;
        if part > season {
            let early = Self::train(series, part, season, setting.horizon);
            all.early = Some(Box::new((early, part)));
        }
        all
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

/// The season that makes a seasonal naive forecast best, if any does.
fn season(values: &[f64], setting: &Setting<'_>) -> usize {
    let change = |lag: usize| {
        let later = values.get(lag..).unwrap_or_default();
        mean(values.iter().zip(later).map(|(a, b)| (b - a).abs()))
    };
    // The mean change over the steps ahead, a few of them for all.
    let reach = setting.horizon.min(values.len() / 2).max(1);
    let naive = mean((1..=reach).step_by((reach / 8) | 1).map(change));
    let fits = |season: &&usize| 3 * **season <= values.len();
    let seasons = setting.seasons.iter().filter(fits).map(|season| (change(*season), *season));
    match seasons.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))) {
        Some((seasonal, season)) if seasonal < (1.0 - WORTH) * naive => season,
        _ => 0,
    }
}
