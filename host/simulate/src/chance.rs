use crate::report::Fnv;

/// Random draws that depend on their purpose and not on earlier draws. Removing one part of a run therefore
/// does not affect the others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chance {
    seed: u64,
}

impl Chance {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The generator for one purpose.
    pub(crate) fn rng(self, purpose: &str, number: u64) -> fastrand::Rng {
        let mut hash = Fnv::default();
        hash.add(&self.seed.to_le_bytes());
        hash.add(purpose.as_bytes());
        hash.add(&number.to_le_bytes());
        fastrand::Rng::with_seed(hash.0)
    }
}
