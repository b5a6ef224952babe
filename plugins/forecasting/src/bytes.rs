//! The encoding of models: little-endian, with a tag of four letters and a version, and only what a forecast needs.

/// The bytes are not a model of this kind and version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// Bytes that are being written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Begins with a tag.
    #[must_use]
    pub fn new(tag: [u8; 5]) -> Self {
        Self(tag.to_vec())
    }

    /// One byte.
    pub fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    /// A whole number of 32 bits.
    pub fn whole(&mut self, number: u32) {
        self.0.extend(number.to_le_bytes());
    }

    /// A length; those beyond 32 bits saturate, and are refused when read.
    pub fn length(&mut self, length: usize) {
        self.whole(u32::try_from(length).unwrap_or(u32::MAX));
    }

    /// A whole number of 64 bits.
    pub fn long(&mut self, number: u64) {
        self.0.extend(number.to_le_bytes());
    }

    /// A number with all its bits.
    pub fn number(&mut self, number: f64) {
        self.0.extend(number.to_le_bytes());
    }

    /// Numbers with all their bits; the reader must know their count.
    pub fn numbers(&mut self, numbers: &[f64]) {
        numbers.iter().for_each(|number| self.number(*number));
    }

    /// A number to seven digits, in 32 bits; a number that is too large for these becomes the largest that they
    /// hold.
    pub fn short(&mut self, number: f64) {
        self.0.extend((number as f32).clamp(f32::MIN, f32::MAX).to_le_bytes());
    }

    /// A list of numbers with its length, each rounded to one of 65,536 steps between the lowest and the highest.
    /// That is finer than the errors of a fitted profile, and takes a quarter of the bytes. NaN becomes the lowest.
    pub fn profile(&mut self, values: &[f64]) {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (low, high) = if low <= high { (low, high) } else { (0.0, 0.0) };
        let unit = (high - low) / f64::from(u16::MAX);
        self.length(values.len());
        self.number(low);
        self.number(unit);
        for value in values {
            // The cast saturates, and turns NaN into 0, which occurs if all values are the same.
            let place = ((value - low) / unit).round() as u16;
            self.0.extend(place.to_le_bytes());
        }
    }

    /// A text with its length.
    pub fn text(&mut self, text: &str) {
        self.list(text.as_bytes());
    }

    /// Bytes with their length.
    pub fn list(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.extend(bytes);
    }

    /// The bytes that were written.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// The rest of bytes from an untrusted source. The reader refuses impossible content: numbers must be finite, and
/// lengths must fit into the rest.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads bytes that begin with this tag.
    ///
    /// # Errors
    /// [`Unreadable`] if the bytes do not begin with it.
    pub fn new(bytes: &'a [u8], tag: [u8; 5]) -> Result<Self, Unreadable> {
        bytes.strip_prefix(&tag).map(Self).ok_or(Unreadable)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// [`Unreadable`] if there are fewer.
    pub fn take<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(Unreadable)?;
        self.0 = rest;
        Ok(*taken)
    }

    /// One byte.
    ///
    /// # Errors
    /// [`Unreadable`] at the end.
    pub fn byte(&mut self) -> Result<u8, Unreadable> {
        self.take::<1>().map(|[byte]| byte)
    }

    /// A whole number of 32 bits.
    ///
    /// # Errors
    /// [`Unreadable`] at the end.
    pub fn whole(&mut self) -> Result<u32, Unreadable> {
        self.take().map(u32::from_le_bytes)
    }

    /// A length of at most `most`.
    ///
    /// # Errors
    /// [`Unreadable`] if it is more, and at the end.
    pub fn length(&mut self, most: usize) -> Result<usize, Unreadable> {
        self.whole()
            .map(|n| n as usize)
            .and_then(|n| if n <= most { Ok(n) } else { Err(Unreadable) })
    }

    /// A whole number of 64 bits.
    ///
    /// # Errors
    /// [`Unreadable`] at the end.
    pub fn long(&mut self) -> Result<u64, Unreadable> {
        self.take().map(u64::from_le_bytes)
    }

    /// A finite number within ±1e150, so that its square is finite too.
    ///
    /// # Errors
    /// [`Unreadable`] for any other, and at the end.
    pub fn number(&mut self) -> Result<f64, Unreadable> {
        sane(f64::from_le_bytes(self.take()?))
    }

    /// Any finite number.
    ///
    /// # Errors
    /// [`Unreadable`] for any other, and at the end.
    pub fn finite(&mut self) -> Result<f64, Unreadable> {
        let number = f64::from_le_bytes(self.take()?);
        if number.is_finite() { Ok(number) } else { Err(Unreadable) }
    }

    /// `count` numbers as [`Reader::number`].
    ///
    /// # Errors
    /// [`Unreadable`] if one is not a finite number within ±1e150, or if there are fewer.
    pub fn numbers(&mut self, count: usize) -> Result<Vec<f64>, Unreadable> {
        if count > self.0.len() / 8 {
            return Err(Unreadable);
        }
        (0..count).map(|_| self.number()).collect()
    }

    /// A number that was written with [`Writer::short`].
    ///
    /// # Errors
    /// [`Unreadable`] if it is not finite, and at the end.
    pub fn short(&mut self) -> Result<f64, Unreadable> {
        sane(f64::from(f32::from_le_bytes(self.take()?)))
    }

    /// A number from 0 to 1.
    ///
    /// # Errors
    /// [`Unreadable`] for any other, and at the end.
    pub fn share(&mut self) -> Result<f64, Unreadable> {
        self.number().and_then(|n| if (0.0..=1.0).contains(&n) { Ok(n) } else { Err(Unreadable) })
    }

    /// A list that was written with [`Writer::profile`], of at most `most` values.
    ///
    /// # Errors
    /// [`Unreadable`] if the bytes are not one.
    pub fn profile(&mut self, most: usize) -> Result<Vec<f64>, Unreadable> {
        let length = self.length(most)?;
        let (low, unit) = (self.number()?, self.number()?);
        let (places, rest) = self.0.split_at_checked(2 * length).ok_or(Unreadable)?;
        self.0 = rest;
        let (pairs, _) = places.as_chunks::<2>();
        Ok(pairs.iter().map(|pair| low + unit * f64::from(u16::from_le_bytes(*pair))).collect())
    }

    /// A text that was written with [`Writer::text`].
    ///
    /// # Errors
    /// [`Unreadable`] if the bytes are not one.
    pub fn text(&mut self) -> Result<String, Unreadable> {
        String::from_utf8(self.list()?.to_vec()).map_err(|_| Unreadable)
    }

    /// Bytes that were written with [`Writer::list`].
    ///
    /// # Errors
    /// [`Unreadable`] if fewer bytes are left than the length says.
    pub fn list(&mut self) -> Result<&'a [u8], Unreadable> {
        let length = self.length(usize::MAX)?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Unreadable)?;
        self.0 = rest;
        Ok(taken)
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    /// [`Unreadable`] if something is left.
    pub fn finish(self) -> Result<(), Unreadable> {
        if self.0.is_empty() { Ok(()) } else { Err(Unreadable) }
    }
}

fn sane(number: f64) -> Result<f64, Unreadable> {
    if number.abs() <= 1e150 { Ok(number) } else { Err(Unreadable) }
}
