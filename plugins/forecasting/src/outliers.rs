use crate::bytes::{Reader, Unreadable, Writer};

/// Distinguishes outliers from shifts. Of several innovations in a row that are out of reach, only the first is an
/// outlier, on whichever side the others are. If all of them were cut, the model would diverge from the series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outliers {
    /// Whether the last innovation was out of reach.
    follows: bool,
}

impl Outliers {
    /// Whether the next innovation is an outlier and must be cut.
    #[inline(always)]
    pub fn cuts(&mut self, is_out_of_reach: bool) -> bool {
        let cuts = is_out_of_reach && !self.follows;
        self.follows = is_out_of_reach;
        cuts
    }

    /// Writes it.
    pub fn write(self, out: &mut Writer) {
        out.byte(u8::from(self.follows));
    }

    /// Reads what [`Outliers::write`] wrote.
    ///
    /// # Errors
    /// [`Unreadable`] if the byte is neither 0 nor 1.
    pub fn read(input: &mut Reader<'_>) -> Result<Self, Unreadable> {
        match input.byte()? {
            0 => Ok(Self { follows: false }),
            1 => Ok(Self { follows: true }),
            _ => Err(Unreadable),
        }
    }
}
