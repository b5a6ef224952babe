use crate::{check::Broken, log_line::LogLine};

/// An answer, and the resources that the call used.
#[derive(Debug)]
pub struct CallOutcome<T> {
    /// The answer, already checked: items that broke the contract are now faults.
    pub answer: T,
    /// The items that broke the contract.
    pub broken: Vec<Broken>,
    /// The fuel that the call used.
    pub fuel: u64,
    /// The plugin's log lines.
    pub log: Vec<LogLine>,
    /// Number of log lines dropped beyond the limit.
    pub log_dropped: usize,
}
