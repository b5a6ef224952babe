use crate::bytes::{Reader, Unreadable, Writer};

/// Tells outliers, which are alone, from shifts: of innovations in a row that are out of reach only the first is
/// one, whatever the side of those after it. What is cut again and again drives a model away from what it
/// follows, by as much each time as it is off already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outliers {
    /// Whether the last innovation was out of reach.
    follows: bool,
}

impl Outliers {
    /// Whether an innovation, which is out of reach or not, is an outlier and is to be cut.
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
    /// [`Unreadable`] where it could not be one.
    pub fn read(input: &mut Reader<'_>) -> Result<Self, Unreadable> {
        match input.byte()? {
            0 => Ok(Self { follows: false }),
            1 => Ok(Self { follows: true }),
            _ => Err(Unreadable),
        }
    }
}
