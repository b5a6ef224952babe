use crate::quantiles::normal;

/// A seeded generator of pseudorandom numbers (Steele, Lea & Flood, "Fast splittable pseudorandom number
/// generators", 2014: SplitMix64). The same seed gives the same numbers everywhere.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Begins with a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1, 1 left out.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A standard normal number, within ±6.
    pub fn normal(&mut self) -> f64 {
        normal(self.uniform())
    }

    /// A whole number below `most`, which is above 0.
    pub fn below(&mut self, most: usize) -> usize {
        (self.bits() % most.max(1) as u64) as usize
    }
}
