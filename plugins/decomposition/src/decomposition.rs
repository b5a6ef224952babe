use haggle_forecasting::{Clock, DAY, Method, Prepared, Reader, Setting, Unreadable, WEEK, Writer};

use crate::{
    basis::{Block, Span},
    regression::Regression,
    remainder::Remainder,
};

/// A decomposed series.
#[derive(Clone, Debug, PartialEq)]
pub struct Decomposition {
    /// What explains the values.
    pub regression: Regression,
    /// What is left of the last of them.
    pub remainder: Remainder,
    /// What the first part of the history alone gives, and how long that is: by it the rest is judged. It
    /// is not kept with the model.
    early: Option<Box<(Self, usize)>>,
}

/// The share of the history that forecasts of the rest are judged by.
const EARLY: f64 = 0.6;
/// Events of no more names are learnt.
const MOST_EVENTS: usize = 16;
/// Bounds on what is believed of foreign bytes.
const MOST_SEASON: usize = 1 << 20;
const MOST_BLOCKS: usize = 64;

impl Decomposition {
    /// Fits the first `until` values.
    fn until(
        series: &Prepared,
        until: usize,
        blocks: &[Block],
        horizon: usize,
        clock: &Clock<'_>,
    ) -> Self {
        let fitting = |block: &&Block| match block {
            Block::Season(length, _) => 2 * length <= until,
            _ => true,
        };
        let blocks: Vec<Block> = blocks.iter().filter(fitting).cloned().collect();
        let regression = Regression::fit(series, until, &blocks, clock);
        let known = series.values.iter().take(until).enumerate();
        let rest = known.map(|(place, value)| value - regression.at(clock.at(place), clock));
        let rest: Vec<f64> = rest.collect();
        let mut remainder = Remainder::fit(&rest, horizon);
        rest.iter().for_each(|rest| remainder.update(*rest));
        Self { regression, remainder, early: None }
    }
}

impl Method for Decomposition {
    const NAME: &'static str = "decomposition";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "Decomposes series into a trend that changes, several seasons, the weekend and the effects of \
         events, with intervals from the errors made.";
    const TAG: [u8; 5] = *b"HGDC\x01";

    fn fit(series: &Prepared, setting: &Setting<'_>) -> Self {
        let count = series.values.len();
        let clock = Clock { start: series.start, step: series.step, events: setting.events };
        let span = series.step.saturating_mul(count as u64);
        let mut blocks: Vec<Block> =
            setting.seasons.iter().map(|length| Block::season(*length)).collect();
        if series.step < DAY && span >= 2 * WEEK {
            blocks.push(Block::Weekend);
        }
        let end = series.start.saturating_add(span);
        let past = setting.events.iter().filter(|event| event.window.start < end);
        let past = past.filter(|event| event.window.end > series.start);
        let mut names: Vec<String> = past.map(|event| event.name.clone()).collect();
        names.sort_unstable();
        names.dedup();
        blocks.extend(names.into_iter().take(MOST_EVENTS).map(Block::Event));
        let mut all = Self::until(series, count, &blocks, setting.horizon, &clock);
        let part = (EARLY * count as f64) as usize;
        if part > 0 {
            let early = Self::until(series, part, &blocks, setting.horizon, &clock);
            all.early = Some(Box::new((early, part)));
        }
        all
    }

    fn rewind(&self, _: &Prepared) -> (Self, usize) {
        match &self.early {
            Some(early) => (early.0.clone(), early.1),
            None => (self.clone(), 0),
        }
    }

    fn update(&mut self, values: &[f64], clock: &Clock<'_>) {
        for (place, value) in values.iter().enumerate() {
            self.remainder.update(value - self.regression.at(clock.at(place), clock));
        }
    }

    fn expect(&self, clock: &Clock<'_>, means: &mut [f64]) {
        for (mean, (place, ahead)) in means.iter_mut().zip((0..).zip(1..)) {
            *mean = self.regression.at(clock.at(place), clock) + self.remainder.expect(ahead);
        }
    }

    fn deviations(&self, deviations: &mut [f64]) {
        deviations.iter_mut().zip(self.remainder.deviations()).for_each(|(d, now)| *d = now);
    }

    fn write(&self, out: &mut Writer) {
        let Regression { span, blocks, coefficients } = &self.regression;
        out.long(span.start);
        out.long(span.length);
        out.length(blocks.len());
        for block in blocks {
            match block {
                Block::Trend => out.byte(0),
                Block::Season(length, harmonics) => {
                    out.byte(1);
                    out.length(*length);
                    out.length(*harmonics);
                }
                Block::Weekend => out.byte(2),
                Block::Event(name) => {
                    out.byte(3);
                    out.text(name);
                }
            }
        }
        coefficients.iter().for_each(|coefficient| out.short(*coefficient));
        let Remainder { stays, fades, persistence, level, transient } = self.remainder;
        out.numbers(&[stays, fades, persistence, level, transient]);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let span = Span { start: input.long()?, length: input.long()? };
        let mut blocks = Vec::new();
        for _ in 0..input.length(MOST_BLOCKS)? {
            blocks.push(match input.byte()? {
                0 => Block::Trend,
                1 => {
                    let (length, harmonics) = (input.length(MOST_SEASON)?, input.length(64)?);
                    Block::Season(length.max(1), harmonics)
                }
                2 => Block::Weekend,
                3 => Block::Event(input.text()?),
                _ => return Err(Unreadable),
            });
        }
        let width: usize = blocks.iter().map(Block::width).sum();
        let coefficients = (0..width).map(|_| input.short()).collect::<Result<_, _>>()?;
        let remainder = Remainder {
            stays: input.share()?,
            fades: input.share()?,
            persistence: input.share()?,
            level: input.number()?,
            transient: input.number()?,
        };
        if span.length == 0 || remainder.stays + remainder.fades > 1.0 {
            return Err(Unreadable);
        }
        Ok(Self { regression: Regression { span, blocks, coefficients }, remainder, early: None })
    }

    fn longest_season(&self) -> usize {
        let length = |block: &Block| if let Block::Season(length, _) = block { *length } else { 0 };
        self.regression.blocks.iter().map(length).max().unwrap_or(0)
    }
}
