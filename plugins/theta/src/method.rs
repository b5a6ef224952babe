use haggle_forecasting::{Clock, Method, Outliers, Prepared, Reader, Setting, Unreadable, Writer};

use crate::{
    adjustment::Adjustment,
    line::{Line, Parameters},
    model::Model,
    rolling::best,
};

/// The dynamic optimised theta model as a forecasting method.
#[derive(Clone, Debug, PartialEq)]
pub struct DynamicTheta {
    /// The model of the values minus `origin`.
    pub model: Model,
    /// The value that is 0 for the model: the zero of the metric if factors may apply.
    pub origin: f64,
}

/// The longest season that is accepted from bytes, in steps.
const MOST_SEASON: usize = 1 << 20;
/// Factors are tried if the lowest value, as a share of the mean, is in this range. Below it, values come too close
/// to 0; above it, they vary too little.
const PROPORTIONATE: std::ops::Range<f64> = 1e-3..0.95;
/// With fewer values, forecasts of the past do not choose the model.
const FEWEST: usize = 48;
/// The smallest deviation, on the scale of a prepared history.
const LEAST: f64 = 1e-6;

impl Method for DynamicTheta {
    const NAME: &'static str = "theta";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "The dynamic optimised theta model, of the series cleared of up to two seasons, with the parameters \
         that would have forecast the past best.";
    const TAG: [u8; 5] = *b"HGTH\x02";

    fn fit(series: &Prepared, setting: &Setting<'_>) -> Self {
        let present: Vec<bool> = series.values.iter().map(|v| !v.is_nan()).collect();
        let zero = series.zero();
        let lowest = series.clean.iter().map(|v| v - zero).fold(f64::INFINITY, f64::min);
        let sum: f64 = series.clean.iter().map(|v| v - zero).sum();
        let mean = sum / series.clean.len().max(1) as f64;
        let origin =
            if PROPORTIONATE.contains(&(lowest / mean)) && mean > 0.0 { zero } else { 0.0 };
        let values: Vec<f64> = series.clean.iter().map(|v| v - origin).collect();
        let (seasons, positive) = (setting.seasons, origin != 0.0);
        if values.len() < FEWEST {
            let model = Model::choose(&values, &present, seasons, positive);
            return Self { model: model.unwrap_or_else(Model::flat), origin };
        }
        let candidates = Model::candidates(&values, &present, seasons, positive);
        let candidates = candidates.into_iter().map(|model| Self { model, origin });
        let best = best(candidates, series, setting);
        best.unwrap_or_else(|| Self { model: Model::flat(), origin })
    }

    fn rewind(&self, series: &Prepared) -> (Self, usize) {
        let values: Vec<f64> = series.clean.iter().map(|v| v - self.origin).collect();
        let count = match self.longest_season() {
            0 => (values.len() / 4).clamp(1, 10),
            season if values.len() >= 4 * season => 2 * season,
            season => season,
        };
        let model = self.model.early(&values, count);
        (Self { model, origin: self.origin }, count.min(values.len()))
    }

    fn update(&mut self, values: &[f64], _: &Clock<'_>) {
        values.iter().for_each(|value| self.model.update(value - self.origin));
    }

    fn expect(&self, _: &Clock<'_>, means: &mut [f64]) {
        self.model.expect(means);
        means.iter_mut().for_each(|mean| *mean += self.origin);
    }

    fn deviations(&self, out: &mut [f64]) {
        self.model.variances(out);
        out.iter_mut().for_each(|value| *value = value.sqrt().clamp(LEAST, 1e100));
    }

    fn write(&self, out: &mut Writer) {
        let Model { parameters: p, line, adjustment, variance, outliers } = &self.model;
        out.numbers(&[self.origin, p.level, p.drift, *variance]);
        out.numbers(&[line.level, line.mean, line.slope, line.faded, line.count]);
        outliers.write(out);
        out.byte(u8::from(adjustment.multiplicative));
        out.length(adjustment.profiles.len());
        let Adjustment { profiles, positions, gains, .. } = adjustment;
        for ((profile, position), gain) in profiles.iter().zip(positions).zip(gains) {
            out.length(*position);
            out.number(*gain);
            out.profile(profile);
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let origin = input.number()?;
        let parameters = Parameters { level: input.share()?, drift: input.share()? };
        let variance = input.number()?;
        let (level, mean, slope) = (input.number()?, input.number()?, input.number()?);
        let line = Line { level, mean, slope, faded: input.share()?, count: input.number()? };
        let outliers = Outliers::read(input)?;
        let multiplicative = match input.byte()? {
            0 => false,
            1 => true,
            _ => return Err(Unreadable),
        };
        let (mut profiles, mut positions, mut gains) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..input.length(2)? {
            let position = input.length(MOST_SEASON)?;
            gains.push(input.share()?);
            let profile = input.profile(MOST_SEASON)?;
            let factors = !multiplicative || profile.iter().all(|factor| *factor > 0.0);
            if position >= profile.len() || !factors {
                return Err(Unreadable);
            }
            positions.push(position);
            profiles.push(profile);
        }
        if parameters.level <= 0.0 || variance < 0.0 || line.count < 1.0 {
            return Err(Unreadable);
        }
        let adjustment = Adjustment { multiplicative, profiles, positions, gains };
        Ok(Self { model: Model { parameters, line, adjustment, variance, outliers }, origin })
    }

    fn longest_season(&self) -> usize {
        self.model.adjustment.profiles.iter().map(Vec::len).max().unwrap_or(0)
    }
}
