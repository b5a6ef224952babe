use haggle_forecasting::{Clock, Method, Outliers, Prepared, Reader, Setting, Unreadable, Writer};

use crate::{
    filter::{Parameters, Reach, Season, State, deviations},
    initial::{initial, warm_up},
    search::{Choice, search},
};

/// The recursions with the parameters chosen for a series, and their state.
#[derive(Clone, Debug, PartialEq)]
pub struct Smoothing {
    /// The parameters.
    pub parameters: Parameters,
    /// After the last value.
    pub state: State,
}

/// Bounds on what is accepted from bytes.
const MOST_SEASON: usize = 1 << 20;

impl Smoothing {
    /// The season lengths.
    #[must_use]
    pub fn seasons(&self) -> Vec<usize> {
        self.state.seasons.iter().map(|season| season.profile.len()).collect()
    }

    /// The state before the first of these values.
    fn start(&self, values: &[f64], seasons: &[usize]) -> (Self, usize) {
        let from = warm_up(values.len(), seasons);
        let state = initial(values, seasons, from);
        (Self { parameters: self.parameters, state }, from)
    }
}

impl Method for Smoothing {
    const NAME: &'static str = "seasonal-smoothing";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "Exponential smoothing with damped trend and up to two seasons, chosen by how well the past would \
         have been forecast, with intervals from the errors made.";
    const TAG: [u8; 5] = *b"HGSS\x02";

    fn fit(series: &Prepared, setting: &Setting<'_>) -> Self {
        let horizon = u32::try_from(setting.horizon).unwrap_or(u32::MAX);
        let Choice { seasons, parameters, .. } = search(&series.values, setting.seasons, horizon);
        let from = warm_up(series.values.len(), &seasons);
        let mut state = initial(&series.values, &seasons, from);
        for value in &series.values {
            state.update(*value, &parameters);
        }
        Self { parameters, state }
    }

    fn rewind(&self, series: &Prepared) -> (Self, usize) {
        let (mut early, from) = self.start(&series.values, &self.seasons());
        for value in series.values.iter().take(from) {
            early.state.update(*value, &early.parameters);
        }
        (early, from)
    }

    fn update(&mut self, values: &[f64], _: &Clock<'_>) {
        for value in values {
            self.state.update(*value, &self.parameters);
        }
    }

    fn expect(&self, _: &Clock<'_>, means: &mut [f64]) {
        let ahead = means.iter_mut().zip(Reach::every(&self.parameters)).enumerate();
        ahead.for_each(|(ahead, (mean, reach))| *mean = self.state.expect(ahead, &reach));
    }

    fn deviations(&self, out: &mut [f64]) {
        let seasons = self.seasons();
        out.iter_mut().zip(deviations(&self.parameters, &seasons)).for_each(|(o, d)| *o = d);
    }

    fn write(&self, out: &mut Writer) {
        let p = &self.parameters;
        let [first, second] = p.seasonal;
        let state = &self.state;
        out.numbers(&[p.level, p.trend, p.damping, p.transient, p.persistence, first, second]);
        out.numbers(&[state.level, state.trend, state.transient, state.noise]);
        state.outliers.write(out);
        out.length(state.seasons.len());
        for season in &state.seasons {
            out.length(season.position);
            out.whole(season.seen);
            out.profile(&season.profile);
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let parameters = Parameters {
            level: input.share()?,
            trend: input.share()?,
            damping: input.share()?,
            transient: input.share()?,
            persistence: input.share()?,
            seasonal: [input.share()?, input.share()?],
        };
        let (level, trend, transient) = (input.number()?, input.number()?, input.number()?);
        let noise = input.number()?;
        let outliers = Outliers::read(input)?;
        let mut seasons = Vec::new();
        for _ in 0..input.length(2)? {
            let (position, seen) = (input.length(MOST_SEASON)?, input.whole()?);
            let profile = input.profile(MOST_SEASON)?;
            if position >= profile.len() {
                return Err(Unreadable);
            }
            seasons.push(Season { profile, position, seen });
        }
        if noise < 0.0 || parameters.level + parameters.transient > 1.0 {
            return Err(Unreadable);
        }
        let state = State { level, trend, transient, seasons, noise, outliers };
        Ok(Self { parameters, state })
    }

    fn longest_season(&self) -> usize {
        self.state.seasons.last().map_or(0, |season| season.profile.len())
    }
}
