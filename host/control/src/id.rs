//! Numbers that tie an effect to the input that answers it.

/// Whom an answer goes to. The edge gives out the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Caller(pub u64);

/// Numbers a [`Effect::Commit`](crate::Effect::Commit).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitId(pub u64);
