use haggle_forecasting::{Clock, DAY, Method, Prepared, Reader, Setting, Unreadable, WEEK, Writer};

use crate::{
    basis::{Block, Span},
    regression::Regression,
    remainder::{Remainder, Shares},
};

/// A decomposed series.
#[derive(Clone, Debug, PartialEq)]
pub struct Decomposition {
    /// The regression that explains the values.
    pub regression: Regression,
    /// The model of the residuals that the regression leaves.
    pub remainder: Remainder,
    /// The model of the first part of the history alone, and the length of that part. Its forecasts of the rest are
    /// judged. It is not written with the model.
    early: Option<Box<(Self, usize)>>,
}

/// The first share of the history, which the early model is fitted to.
const EARLY: f64 = 0.6;
/// The largest number of event names that are learnt.
const MOST_EVENTS: usize = 16;
/// Bounds on what is accepted from bytes.
const MOST_SEASON: usize = 1 << 20;
const MOST_BLOCKS: usize = 64;
/// The largest sum of shares: 1, with room for rounding.
const MOST_SHARED: f64 = 1.0 + 1e-9;

impl Decomposition {
    /// Fits the regression to the first `until` values, and returns it with the residuals of all values.
    fn explain(
        series: &Prepared,
        until: usize,
        blocks: &[Block],
        clock: &Clock<'_>,
    ) -> (Regression, Vec<f64>) {
        let fitting = |block: &&Block| match block {
            Block::Season(length, _) => 2 * length <= until,
            _ => true,
        };
        let blocks: Vec<Block> = blocks.iter().filter(fitting).cloned().collect();
        let regression = Regression::fit(series, until, &blocks, clock);
        let mut means = vec![0.0; series.values.len()];
        regression.expect(clock, &mut means);
        let rest = series.values.iter().zip(means).map(|(value, mean)| value - mean).collect();
        (regression, rest)
    }

    /// The model in its state after these residuals.
    fn after(regression: Regression, mut remainder: Remainder, rest: &[f64]) -> Self {
        rest.iter().for_each(|rest| remainder.update(*rest));
        Self { regression, remainder, early: None }
    }
}

impl Method for Decomposition {
    const NAME: &'static str = "decomposition";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "Decomposes series into a trend that changes, several seasons, the weekend and the effects of \
         events, follows what that leaves, with intervals from the errors made.";
    const TAG: [u8; 5] = *b"HGDC\x02";

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
        let past = setting.events.iter().filter(|event| event.window.start_ms < end);
        let past = past.filter(|event| event.window.end_ms > series.start);
        let mut names: Vec<String> = past.map(|event| event.name.clone()).collect();
        names.sort_unstable();
        names.dedup();
        blocks.extend(names.into_iter().take(MOST_EVENTS).map(Block::Event));
        // The shares are chosen by the residuals after the first part, of which the early regression knows nothing.
        let part = (EARLY * count as f64) as usize;
        let (early, rest) = Self::explain(series, part, &blocks, &clock);
        let still = Remainder::fit(&rest, part, setting.horizon, setting.seasons);
        let known = rest.get(..part).unwrap_or_default();
        let early = Self::after(early, still.clone(), known);
        let (regression, rest) = Self::explain(series, count, &blocks, &clock);
        Self { early: Some(Box::new((early, part))), ..Self::after(regression, still, &rest) }
    }

    fn rewind(&self, _: &Prepared) -> (Self, usize) {
        match &self.early {
            Some(early) => (early.0.clone(), early.1),
            None => (self.clone(), 0),
        }
    }

    fn update(&mut self, values: &[f64], clock: &Clock<'_>) {
        let mut means = vec![0.0; values.len()];
        self.regression.expect(clock, &mut means);
        values.iter().zip(means).for_each(|(value, mean)| self.remainder.update(value - mean));
    }

    fn expect(&self, clock: &Clock<'_>, means: &mut [f64]) {
        self.regression.expect(clock, means);
        self.remainder.expect(means);
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
                Block::Level => out.byte(0),
                Block::Trend => out.byte(4),
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
        let Remainder { shares, level, transient, profile, position } = &self.remainder;
        let Shares { stays, fades, persistence, returns } = *shares;
        out.numbers(&[stays, fades, persistence, returns, *level, *transient]);
        out.length(*position);
        out.profile(profile);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let span = Span { start: input.long()?, length: input.long()? };
        let mut blocks = Vec::new();
        for _ in 0..input.length(MOST_BLOCKS)? {
            blocks.push(match input.byte()? {
                0 => Block::Level,
                4 => Block::Trend,
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
        let shares = Shares {
            stays: input.share()?,
            fades: input.share()?,
            persistence: input.share()?,
            returns: input.share()?,
        };
        let remainder = Remainder {
            shares,
            level: input.number()?,
            transient: input.number()?,
            position: input.length(MOST_SEASON)?,
            profile: input.profile(MOST_SEASON)?,
        };
        let within = remainder.position < remainder.profile.len().max(1);
        if span.length == 0 || !within || shares.stays + shares.fades + shares.returns > MOST_SHARED
        {
            return Err(Unreadable);
        }
        Ok(Self { regression: Regression { span, blocks, coefficients }, remainder, early: None })
    }

    fn longest_season(&self) -> usize {
        let length = |block: &Block| if let Block::Season(length, _) = block { *length } else { 0 };
        self.regression.blocks.iter().map(length).max().unwrap_or(0)
    }
}
