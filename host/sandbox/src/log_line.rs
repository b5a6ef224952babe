/// The severity of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// For the plugin's author.
    Debug,
    /// For information.
    Info,
    /// For the operator.
    Warn,
    /// For the operator's immediate attention.
    Error,
}

/// A log line of a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// The severity.
    pub level: LogLevel,
    /// The text, without control characters.
    pub message: String,
}
