use crate::report::Fnv;

/// Draws that depend on what they are for and not on what was drawn before, so that leaving one thing
/// out of a run changes nothing about the others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chance {
    seed: u64,
}

impl Chance {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// A generator for one purpose.
    pub(crate) fn rng(self, purpose: &str, number: u64) -> fastrand::Rng {
        let mut hash = Fnv::default();
        hash.add(&self.seed.to_le_bytes());
        hash.add(purpose.as_bytes());
        hash.add(&number.to_le_bytes());
        fastrand::Rng::with_seed(hash.0)
    }
}
