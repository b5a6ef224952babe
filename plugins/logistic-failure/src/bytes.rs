//! A model as bytes: little-endian, a header of four letters and a version, then its numbers, then the
//! metrics by name.

use std::collections::BTreeMap;

use crate::{
    calibration::Calibration,
    features::PER_METRIC,
    model::{Knowledge, MOST_METRICS, Model},
};

const HEADER: &[u8; 5] = b"HGLF\x01";
/// The largest magnitude of a number that is accepted from bytes.
const SENSIBLE: f64 = 1e12;

/// The bytes are not a model of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

impl Model {
    /// The model as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = HEADER.to_vec();
        bytes.extend(self.horizon_ms.to_le_bytes());
        let Calibration { slope, shift, slope_precision, shift_precision } = self.calibration;
        for number in [self.examples, self.failures, slope, shift, slope_precision, shift_precision]
        {
            bytes.extend(number.to_le_bytes());
        }
        write(&self.intercept, &mut bytes);
        bytes.extend((self.metrics.len() as u32).to_le_bytes());
        for (metric, known) in &self.metrics {
            bytes.extend((metric.len() as u32).to_le_bytes());
            bytes.extend(metric.as_bytes());
            known.iter().for_each(|knowledge| write(knowledge, &mut bytes));
        }
        bytes
    }

    /// Reads a model from bytes.
    ///
    /// # Errors
    /// [`Unreadable`] for anything but the bytes of a model of this version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut rest = Reader(bytes);
        if rest.take::<5>()? != *HEADER {
            return Err(Unreadable);
        }
        let horizon_ms = u64::from_le_bytes(rest.take()?);
        let (examples, failures) = (rest.positive()?, rest.positive()?);
        let calibration = Calibration {
            slope: rest.positive()?,
            shift: rest.number()?,
            slope_precision: rest.positive()?,
            shift_precision: rest.positive()?,
        };
        let intercept = rest.knowledge()?;
        let count = u32::from_le_bytes(rest.take()?) as usize;
        let mut metrics = BTreeMap::new();
        for _ in 0..count {
            let name = rest.name()?;
            let mut known = [Knowledge::default(); PER_METRIC];
            for knowledge in &mut known {
                *knowledge = rest.knowledge()?;
            }
            metrics.insert(name, known);
        }
        if !rest.0.is_empty() || metrics.len() != count || count > MOST_METRICS {
            return Err(Unreadable);
        }
        Ok(Self { horizon_ms, examples, failures, intercept, metrics, calibration })
    }
}

fn write(knowledge: &Knowledge, bytes: &mut Vec<u8>) {
    let Knowledge { count, mean, variance, weight, precision } = *knowledge;
    for number in [count, mean, variance, weight, precision] {
        bytes.extend(number.to_le_bytes());
    }
}

/// The bytes that are left to read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(Unreadable)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn number(&mut self) -> Result<f64, Unreadable> {
        let number = f64::from_le_bytes(self.take()?);
        if number.abs() <= SENSIBLE { Ok(number) } else { Err(Unreadable) }
    }

    fn positive(&mut self) -> Result<f64, Unreadable> {
        self.number().and_then(|n| if n >= 0.0 { Ok(n) } else { Err(Unreadable) })
    }

    fn knowledge(&mut self) -> Result<Knowledge, Unreadable> {
        Ok(Knowledge {
            count: self.positive()?,
            mean: self.number()?,
            variance: self.positive()?,
            weight: self.number()?,
            precision: self.positive()?,
        })
    }

    fn name(&mut self) -> Result<String, Unreadable> {
        let length = u32::from_le_bytes(self.take()?) as usize;
        let (name, rest) = self.0.split_at_checked(length).ok_or(Unreadable)?;
        self.0 = rest;
        String::from_utf8(name.to_vec()).map_err(|_| Unreadable)
    }
}
