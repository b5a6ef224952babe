use haggle_forecasting::{Clock, Method, Outliers, Prepared, Reader, Setting, Unreadable, Writer};

use crate::{
    filter::{Parameters, Season, State},
    form::{Error, Form, Seasonal, Trend},
    model::Model,
};

/// A member of the family as a forecasting method.
#[derive(Clone, Debug, PartialEq)]
pub struct Ets {
    /// The model of the values minus `origin`.
    pub model: Model,
    /// The value that is 0 for the model: the zero of the metric if multiplicative forms may apply.
    pub origin: f64,
}

/// The longest season that is accepted from bytes, in steps.
const MOST_SEASON: usize = 1 << 20;
/// If the lowest value is a larger share of the mean, the history varies too little for multiplicative forms.
const MOST_FLAT: f64 = 0.95;
/// The smallest deviation, on the scale of a prepared history.
const LEAST: f64 = 1e-6;

impl Method for Ets {
    const NAME: &'static str = "exponential-smoothing";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "The ETS family of exponential smoothing (additive and multiplicative errors and seasons, damped \
         trend, up to two seasons), chosen by information criterion and past forecasts.";
    const TAG: [u8; 5] = *b"HGES\x01";

    fn fit(series: &Prepared, setting: &Setting<'_>) -> Self {
        let values = known(series);
        let zero = series.zero();
        let present = || values.iter().filter(|v| !v.is_nan()).map(|v| v - zero);
        let lowest = present().fold(f64::INFINITY, f64::min);
        let mean = present().sum::<f64>() / series.present.max(1) as f64;
        let origin = if lowest > 0.0 && lowest < MOST_FLAT * mean { zero } else { 0.0 };
        let values: Vec<f64> = values.iter().map(|v| v - origin).collect();
        let model = Model::fit(&values, setting.seasons, setting.horizon.max(1));
        Self { model: model.unwrap_or_else(|_| Model::flat()), origin }
    }

    fn rewind(&self, series: &Prepared) -> (Self, usize) {
        let values: Vec<f64> = known(series).iter().map(|v| v - self.origin).collect();
        let count = match self.longest_season() {
            0 => (values.len() / 4).clamp(1, 10),
            season if values.len() >= 4 * season => 2 * season,
            season => season,
        };
        let model = self.model.early(&values, count);
        (Self { model, origin: self.origin }, count.min(values.len()))
    }

    fn update(&mut self, values: &[f64], _: &Clock<'_>) {
        for value in values {
            self.model.update(&[value - self.origin]);
        }
    }

    fn expect(&self, _: &Clock<'_>, means: &mut [f64]) {
        self.model.expect(means);
        means.iter_mut().for_each(|mean| *mean += self.origin);
    }

    fn deviations(&self, out: &mut [f64]) {
        self.model.variances(out);
        let mut largest = 0.0_f64;
        for value in out {
            largest = largest.max(value.sqrt()).clamp(LEAST, 1e100);
            *value = largest;
        }
    }

    fn write(&self, out: &mut Writer) {
        let Model { form, parameters: p, state, unit, variance, criterion, outliers } = &self.model;
        out.byte(code(*form));
        let [first, second] = p.seasonal;
        out.numbers(&[p.level, p.trend, p.damping, p.transient, p.persistence, first, second]);
        out.numbers(&[self.origin, *unit, *variance, state.level, state.trend, state.transient]);
        out.number(if criterion.is_finite() { *criterion } else { 1e150 });
        outliers.write(out);
        out.length(state.seasons.len());
        for season in &state.seasons {
            out.length(season.position);
            out.profile(&season.profile);
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let form = form(input.byte()?).ok_or(Unreadable)?;
        let parameters = Parameters {
            level: input.share()?,
            trend: input.share()?,
            damping: input.share()?,
            transient: input.share()?,
            persistence: input.share()?,
            seasonal: [input.share()?, input.share()?],
        };
        let (origin, unit, variance) = (input.number()?, input.number()?, input.number()?);
        let (level, trend, transient) = (input.number()?, input.number()?, input.number()?);
        let criterion = input.number()?;
        let outliers = Outliers::read(input)?;
        let mut seasons = Vec::new();
        for _ in 0..input.length(2)? {
            let position = input.length(MOST_SEASON)?;
            let profile = input.profile(MOST_SEASON)?;
            if position >= profile.len() {
                return Err(Unreadable);
            }
            seasons.push(Season { profile, position });
        }
        let gains =
            parameters.level + parameters.transient + parameters.seasonal.iter().sum::<f64>();
        let seasonal = form.seasonal == Seasonal::None;
        if unit <= 0.0 || variance < 0.0 || gains > 1.0 + 1e-9 || seasonal != seasons.is_empty() {
            return Err(Unreadable);
        }
        let state = State { level, trend, transient, seasons };
        let model = Model { form, parameters, state, unit, variance, criterion, outliers };
        Ok(Self { model, origin })
    }

    fn longest_season(&self) -> usize {
        self.model.state.seasons.last().map_or(0, |season| season.profile.len())
    }
}

/// The history with outliers cut and gaps left open.
fn known(series: &Prepared) -> Vec<f64> {
    let both = series.values.iter().zip(&series.clean);
    both.map(|(value, clean)| if value.is_nan() { f64::NAN } else { *clean }).collect()
}

fn code(form: Form) -> u8 {
    let trend = match form.trend {
        Trend::None => 0,
        Trend::Additive => 1,
        Trend::Damped => 2,
    };
    let seasonal = match form.seasonal {
        Seasonal::None => 0,
        Seasonal::Additive => 1,
        Seasonal::Multiplicative => 2,
    };
    let error = u8::from(form.error == Error::Multiplicative);
    trend + 3 * seasonal + 9 * error + 18 * u8::from(form.transient)
}

fn form(byte: u8) -> Option<Form> {
    let all = Form::ALL.into_iter().flat_map(|form| [form, form.with_transient()]);
    all.into_iter().find(|form| code(*form) == byte)
}
