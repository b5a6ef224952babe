use haggle_forecasting::{Clock, Method, Outliers, Prepared, Reader, Setting, Unreadable, Writer};

use crate::{
    css::MOST_MA,
    model::{Model, Profile},
    orders::{Coefficients, Orders},
};

/// A seasonal ARIMA model as a forecasting method.
#[derive(Clone, Debug, PartialEq)]
pub struct SeasonalArima {
    /// The model.
    pub model: Model,
}

/// The longest season that is accepted from bytes, in steps.
const MOST_SEASON: usize = 1 << 20;
/// The highest order that is accepted from bytes.
const MOST_ORDER: usize = 5;
/// A fit uses so many of the last values, or five periods of the longest season if those are more. Older values say
/// little about the present and cost as much.
const LOOK_BACK: usize = 2048;
/// The smallest deviation, on the scale of a prepared history.
const LEAST: f64 = 1e-6;

impl Method for SeasonalArima {
    const NAME: &'static str = "arima";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str =
        "Seasonal ARIMA with automatic orders; further seasons are taken off as profiles.";
    const TAG: [u8; 5] = *b"HGAR\x01";

    fn fit(series: &Prepared, setting: &Setting<'_>) -> Self {
        let longest = setting.seasons.last().copied().unwrap_or(0);
        let skip = series.clean.len().saturating_sub(LOOK_BACK.max(5 * longest));
        let values = series.clean.get(skip..).unwrap_or_default();
        let present: Vec<bool> = series.values.iter().skip(skip).map(|v| !v.is_nan()).collect();
        let model = Model::fit(values, &present, setting.seasons, setting.horizon.max(1));
        let flat = || Model::with(&[0.0], Orders::plain(0, 1, 0), Coefficients::default(), 1.0);
        Self { model: model.unwrap_or_else(flat) }
    }

    fn rewind(&self, series: &Prepared) -> (Self, usize) {
        let values = &series.clean;
        let count = match self.longest_season() {
            0 => (values.len() / 4).clamp(1, 10),
            season if values.len() >= 4 * season => 2 * season,
            season => season,
        };
        let count = count.min(values.len());
        (Self { model: self.model.early(values, count) }, count)
    }

    fn update(&mut self, values: &[f64], _: &Clock<'_>) {
        values.iter().for_each(|value| self.model.update(*value));
    }

    fn expect(&self, _: &Clock<'_>, means: &mut [f64]) {
        self.model.expect(means);
    }

    fn deviations(&self, out: &mut [f64]) {
        self.model.variances(out);
        out.iter_mut().for_each(|value| *value = value.sqrt().clamp(LEAST, 1e100));
    }

    fn write(&self, out: &mut Writer) {
        let Model {
            orders: o,
            coefficients,
            variance,
            profiles,
            values,
            innovations,
            outliers,
            missing,
            ..
        } = &self.model;
        for order in
            [o.ar, o.differences, o.ma, o.seasonal_ar, o.seasonal_differences, o.seasonal_ma]
        {
            out.byte(order as u8);
        }
        out.byte(u8::from(o.constant));
        out.length(o.season);
        out.numbers(&coefficients.row(o));
        out.number(*variance);
        outliers.write(out);
        out.length(*missing);
        for past in [values, innovations] {
            out.length(past.len());
            past.iter().for_each(|value| out.number(*value));
        }
        out.length(profiles.len());
        for profile in profiles {
            out.length(profile.position);
            out.profile(&profile.values);
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let mut order = |most: usize| {
            input
                .byte()
                .map(usize::from)
                .and_then(|o| if o <= most { Ok(o) } else { Err(Unreadable) })
        };
        let (ar, differences, ma) = (order(MOST_ORDER)?, order(2)?, order(MOST_MA)?);
        let (seasonal_ar, seasonal_differences, seasonal_ma) = (order(2)?, order(1)?, order(2)?);
        let constant = order(1)? == 1;
        let season = input.length(MOST_SEASON)?;
        let seasonal = seasonal_ar + seasonal_differences + seasonal_ma;
        if season < 2 && seasonal > 0 {
            return Err(Unreadable);
        }
        let orders = Orders {
            ar,
            differences,
            ma,
            seasonal_ar,
            seasonal_differences,
            seasonal_ma,
            season,
            constant,
        };
        let row = input.numbers(orders.coefficients())?;
        let coefficients = Coefficients::from_row(&orders, &row);
        let variance = input.number()?;
        let outliers = Outliers::read(input)?;
        let missing = input.length(usize::MAX)?;
        let mut past = || {
            let count = input.length(4 * MOST_SEASON)?;
            input.numbers(count)
        };
        let (values, innovations) = (past()?, past()?);
        let mut profiles = Vec::new();
        for _ in 0..input.length(2)? {
            let position = input.length(MOST_SEASON)?;
            let values = input.profile(MOST_SEASON)?;
            if position >= values.len() {
                return Err(Unreadable);
            }
            profiles.push(Profile { values, position });
        }
        if variance < 0.0 || !coefficients.admissible() {
            return Err(Unreadable);
        }
        let past = (values, innovations);
        let model =
            Model::restore(orders, coefficients, variance, profiles, past, (outliers, missing));
        model.map(|model| Self { model }).ok_or(Unreadable)
    }

    fn longest_season(&self) -> usize {
        self.model.longest_season()
    }
}
