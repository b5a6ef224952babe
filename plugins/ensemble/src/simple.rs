//! Simple forecasts from the last values, which need no fit.

use haggle_forecasting::{Reader, Unreadable, Writer, median};

/// A forecast that repeats something of the recent values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Simple {
    /// The last value stays (the naive forecast).
    Last,
    /// The median of so many last values stays.
    Middle(usize),
    /// The last period of this length is repeated (the seasonal naive forecast).
    Repeat(usize),
    /// The mean over the last four periods of this length, or as many as there are, is repeated.
    Usual(usize),
    /// The same, shifted to the level of the last six values, of which the latest count most.
    Moved(usize),
}

/// The number of periods in the mean of [`Simple::Usual`].
const PERIODS: usize = 4;
/// The number of last values that give the current level.
const LATEST: usize = 6;
/// Each of them counts so many times as much as the one after it.
const FADING: f64 = 0.8;
/// The largest length that is accepted from bytes.
const MOST: usize = 1 << 20;

impl Simple {
    /// How many of the last values it uses.
    #[must_use]
    pub fn needs(self) -> usize {
        match self {
            Self::Last => 1,
            Self::Middle(count) | Self::Repeat(count) => count,
            Self::Usual(season) => PERIODS * season,
            Self::Moved(season) => PERIODS * season + LATEST,
        }
    }

    /// The season that it follows; 0 for none.
    #[must_use]
    pub fn season(self) -> usize {
        match self {
            Self::Last | Self::Middle(_) => 0,
            Self::Repeat(season) | Self::Usual(season) | Self::Moved(season) => season,
        }
    }

    /// The number of values from which on it can forecast: one period is enough, although more improve it.
    #[must_use]
    pub fn from(self) -> usize {
        match self {
            Self::Usual(season) => season,
            Self::Moved(season) => season + LATEST,
            other => other.needs(),
        }
    }

    /// The forecast of the steps after `values`, none of which is missing.
    pub fn expect(self, values: &[f64], means: &mut [f64]) {
        match self {
            Self::Last => means.fill(values.last().copied().unwrap_or(0.0)),
            Self::Middle(count) => {
                let from = values.len().saturating_sub(count);
                let mut last = values.get(from..).unwrap_or(values).to_vec();
                means.fill(median(&mut last));
            }
            Self::Repeat(season) => {
                let from = values.len().saturating_sub(season);
                let period = values.get(from..).unwrap_or(values);
                means.iter_mut().zip(period.iter().cycle()).for_each(|(m, v)| *m = *v);
            }
            Self::Usual(season) => {
                let season = season.clamp(1, values.len().max(1));
                let periods = values.rchunks_exact(season).take(PERIODS);
                let share = 1.0 / periods.len().max(1) as f64;
                let (first, _) = means.split_at_mut(season.min(means.len()));
                first.fill(0.0);
                for period in periods {
                    first.iter_mut().zip(period).for_each(|(mean, v)| *mean += share * v);
                }
                for place in season..means.len() {
                    means.copy_within(place - season..=place - season, place);
                }
            }
            Self::Moved(season) => {
                let (before, latest) = values.split_at(values.len().saturating_sub(LATEST));
                let mut usual = vec![0.0; latest.len() + means.len()];
                Self::Usual(season).expect(before, &mut usual);
                let (had, next) = usual.split_at(latest.len());
                let (off, of) = latest.iter().zip(had).fold((0.0, 0.0), |(off, of), (v, had)| {
                    (FADING * off + (v - had), FADING * of + 1.0)
                });
                let off = if of > 0.0 { off / of } else { 0.0 };
                means.iter_mut().zip(next).for_each(|(mean, usual)| *mean = usual + off);
            }
        }
    }

    /// The forecast of the one step after `values`, none of which is missing.
    #[must_use]
    pub fn next(self, values: &[f64]) -> f64 {
        let mut means = [0.0];
        self.expect(values, &mut means);
        let [next] = means;
        next
    }

    /// Writes it.
    pub fn write(self, out: &mut Writer) {
        let (kind, length) = match self {
            Self::Last => (0, 1),
            Self::Middle(count) => (1, count),
            Self::Repeat(season) => (2, season),
            Self::Usual(season) => (3, season),
            Self::Moved(season) => (4, season),
        };
        out.byte(kind);
        out.length(length);
    }

    /// Reads what [`Simple::write`] wrote.
    ///
    /// # Errors
    /// [`Unreadable`] if the bytes are not a simple forecast.
    pub fn read(input: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let (kind, length) = (input.byte()?, input.length(MOST)?);
        match (kind, length) {
            (_, 0) => Err(Unreadable),
            (0, _) => Ok(Self::Last),
            (1, count) => Ok(Self::Middle(count)),
            (2, season) => Ok(Self::Repeat(season)),
            (3, season) => Ok(Self::Usual(season)),
            (4, season) => Ok(Self::Moved(season)),
            _ => Err(Unreadable),
        }
    }
}
