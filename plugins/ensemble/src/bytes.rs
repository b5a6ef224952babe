//! A model as bytes.

use haggle_forecasting::{Reader, Scale, Spread, Unreadable, Writer};

use crate::{member::Member, model::Model, weights::Weighed};

const TAG: [u8; 5] = *b"HGEN\x02";
/// Bounds on what is accepted from bytes.
const MOST_TAIL: usize = 1 << 22;
const MOST_MEMBERS: usize = 64;
/// The number of last values that are written exactly, because forecasts begin at them.
const EXACT: usize = 8;

impl Model {
    /// The model as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::new(TAG);
        self.scale.write(&mut out);
        out.long(self.next);
        out.long(self.step);
        out.number(self.restless);
        out.numbers(&self.noise);
        out.number(self.movement);
        out.whole(self.present);
        self.spread.write(&mut out);
        let (early, late) = self.tail.split_at(self.tail.len().saturating_sub(EXACT));
        out.profile(early);
        out.length(late.len());
        out.numbers(late);
        out.length(self.members.len());
        for Weighed { member, fitted, usual, .. } in &self.members {
            out.short(*fitted);
            out.short(*usual);
            member.write(&mut out);
        }
        out.finish()
    }

    /// Reads a model from bytes.
    ///
    /// # Errors
    /// [`Unreadable`] for anything but the bytes of a model of this version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut rest = Reader::new(bytes, TAG)?;
        let scale = Scale::read(&mut rest)?;
        let (next, step) = (rest.long()?, rest.long()?);
        let restless = rest.number()?;
        let noise = [rest.number()?, rest.number()?];
        let movement = rest.number()?;
        let present = rest.whole()?;
        let spread = Spread::read(&mut rest)?;
        let mut tail = rest.profile(MOST_TAIL)?;
        let late = rest.length(EXACT)?;
        tail.extend(rest.numbers(late)?);
        let mut members = Vec::new();
        for _ in 0..rest.length(MOST_MEMBERS)? {
            let (fitted, usual) = (rest.short()?, rest.short()?);
            let member = Member::read(&mut rest)?;
            members.push(Weighed { member, fitted, weight: fitted, usual });
        }
        rest.finish()?;
        let magnitudes = [restless, noise[0], noise[1], movement];
        let weights = members.iter().map(|one| one.fitted);
        let sensible = step > 0
            && !tail.is_empty()
            && magnitudes.iter().all(|magnitude| *magnitude >= 0.0)
            && members.iter().all(|one| one.fitted >= 0.0 && one.usual >= 0.0)
            && (weights.sum::<f64>() - 1.0).abs() < 1e-3;
        if !sensible {
            return Err(Unreadable);
        }
        Ok(Self { scale, members, spread, restless, noise, movement, present, tail, next, step })
    }
}
