use crate::{check::Broken, log_line::LogLine};

/// An answer and what it took.
#[derive(Debug)]
pub struct Called<T> {
    /// The answer, checked: an item that broke the contract is a fault by now.
    pub answer: T,
    /// Which items those are, and what was wrong with them.
    pub broken: Vec<Broken>,
    /// The fuel it used.
    pub fuel: u64,
    /// What the plugin left for the operator.
    pub log: Vec<LogLine>,
    /// How many lines more there were.
    pub log_dropped: usize,
}
