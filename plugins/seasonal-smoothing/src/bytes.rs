//! A model as bytes: little-endian, a header of four letters and a version, and nothing that is not
//! needed to go on. Profiles are kept in 65,536 steps between their lowest and highest value, which is
//! finer than any of them is known, so that a week of hours takes 340 bytes.

use crate::{
    filter::{Parameters, Season, State},
    model::Model,
    outlook::MOST_STEPS,
    quantiles::{PROBABILITIES, Quantiles},
    scale::Scale,
};

const HEADER: &[u8; 5] = b"HGSS\x01";
/// Bounds on what is believed of foreign bytes.
const MOST_SEASON: usize = 1 << 20;

/// The bytes are not a model of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

impl Model {
    /// The model as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = HEADER.to_vec();
        let Scale { largest, median, spread } = self.scale;
        let p = &self.parameters;
        let [first, second] = p.seasonal;
        let state = &self.state;
        let shares = [p.level, p.trend, p.damping, p.transient, p.persistence, first, second];
        let place = [state.level, state.trend, state.transient, state.noise];
        let mut write = |number: f64| bytes.extend(number.to_le_bytes());
        [largest, median, spread].into_iter().for_each(&mut write);
        shares.into_iter().chain(place).chain([self.noise, self.confidence]).for_each(write);
        bytes.extend(self.next.to_le_bytes());
        bytes.extend(self.step.to_le_bytes());
        bytes.extend(state.cut.to_le_bytes());
        bytes.push(self.errors.len() as u8);
        for errors in &self.errors {
            bytes.extend(errors.horizon.to_le_bytes());
            errors.values.iter().for_each(|value| bytes.extend((*value as f32).to_le_bytes()));
        }
        bytes.push(state.seasons.len() as u8);
        for season in &state.seasons {
            write_season(season, &mut bytes);
        }
        bytes
    }

    /// The model that the bytes are of.
    ///
    /// # Errors
    /// [`Unreadable`] for anything but the bytes of a model of this version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut rest = Reader(bytes);
        if rest.take::<5>()? != *HEADER {
            return Err(Unreadable);
        }
        let scale =
            Scale { largest: rest.number()?, median: rest.number()?, spread: rest.number()? };
        let parameters = Parameters {
            level: rest.share()?,
            trend: rest.share()?,
            damping: rest.share()?,
            transient: rest.share()?,
            persistence: rest.share()?,
            seasonal: [rest.share()?, rest.share()?],
        };
        let (level, trend, transient) = (rest.number()?, rest.number()?, rest.number()?);
        let (running, noise, confidence) = (rest.number()?, rest.number()?, rest.share()?);
        let (next, step) = (u64::from_le_bytes(rest.take()?), u64::from_le_bytes(rest.take()?));
        let cut = i8::from_le_bytes(rest.take()?);
        let mut errors = Vec::new();
        for _ in 0..rest.byte()? {
            errors.push(rest.quantiles()?);
        }
        let mut seasons = Vec::new();
        for _ in 0..rest.byte()?.min(3) {
            seasons.push(rest.season()?);
        }
        let ascending = errors.is_sorted_by(|a: &Quantiles, b| a.horizon < b.horizon);
        let sensible = scale.largest >= 0.0
            && scale.spread > 0.0
            && running >= 0.0
            && parameters.level + parameters.transient <= 1.0
            && step > 0
            && ascending
            && !errors.is_empty()
            && seasons.len() <= 2;
        if !sensible || !rest.0.is_empty() {
            return Err(Unreadable);
        }
        let state = State { level, trend, transient, seasons, noise: running, cut };
        Ok(Self { scale, parameters, state, noise, errors, confidence, next, step })
    }
}

fn write_season(season: &Season, bytes: &mut Vec<u8>) {
    let low = season.profile.iter().copied().fold(f64::INFINITY, f64::min);
    let high = season.profile.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let unit = (high - low) / f64::from(u16::MAX);
    bytes.extend((season.profile.len() as u32).to_le_bytes());
    bytes.extend((season.position as u32).to_le_bytes());
    bytes.extend(season.seen.to_le_bytes());
    bytes.extend(low.to_le_bytes());
    bytes.extend(unit.to_le_bytes());
    for value in &season.profile {
        // The cast saturates, and makes 0 of what is no number, as where all values are the same.
        let place = ((value - low) / unit).round() as u16;
        bytes.extend(place.to_le_bytes());
    }
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(Unreadable)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, Unreadable> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn length(&mut self) -> Result<usize, Unreadable> {
        self.take().map(|bytes| u32::from_le_bytes(bytes) as usize)
    }

    /// A finite number of a size that cannot overflow what is computed of it.
    fn number(&mut self) -> Result<f64, Unreadable> {
        let number = f64::from_le_bytes(self.take()?);
        if number.is_finite() { Ok(number) } else { Err(Unreadable) }
    }

    fn share(&mut self) -> Result<f64, Unreadable> {
        self.number().and_then(|n| if (0.0..=1.0).contains(&n) { Ok(n) } else { Err(Unreadable) })
    }

    fn quantiles(&mut self) -> Result<Quantiles, Unreadable> {
        let horizon = u32::from_le_bytes(self.take()?);
        let mut values = [0.0; PROBABILITIES.len()];
        for value in &mut values {
            *value = f64::from(f32::from_le_bytes(self.take()?));
        }
        let reach = 1..=MOST_STEPS;
        let sensible =
            reach.contains(&horizon) && values.iter().all(|v| v.is_finite()) && values.is_sorted();
        if sensible { Ok(Quantiles { horizon, values }) } else { Err(Unreadable) }
    }

    fn season(&mut self) -> Result<Season, Unreadable> {
        let (length, position) = (self.length()?, self.length()?);
        let seen = u32::from_le_bytes(self.take()?);
        let (low, unit) = (self.number()?, self.number()?);
        if length == 0 || length > MOST_SEASON || position >= length || self.0.len() < 2 * length {
            return Err(Unreadable);
        }
        let mut profile = Vec::with_capacity(length);
        for _ in 0..length {
            let place = u16::from_le_bytes(self.take()?);
            profile.push(low + unit * f64::from(place));
        }
        Ok(Season { profile, position, seen })
    }
}
