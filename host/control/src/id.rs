//! Numbers that tie an effect to the input that answers it.

/// Identifies the caller that an answer goes to. The edge assigns the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Caller(pub u64);

/// Identifies an [`Effect::Commit`](crate::Effect::Commit).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitId(pub u64);
