//! Logging to standard error.

use std::io::IsTerminal;

use anyhow::Context;
use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

/// Logging options.
#[derive(Debug, Args)]
pub(crate) struct Logging {
    /// What to log to standard error: off, error, warn, info, debug, trace, or by module such as
    /// `info,haggle_runtime=debug`
    #[arg(long, global = true, value_name = "FILTER", help_heading = "Diagnostics")]
    log: Option<String>,
    /// Format of a log line
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "text",
        help_heading = "Diagnostics"
    )]
    log_format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Text for a person.
    Text,
    /// One JSON object per line.
    Json,
}

impl Logging {
    /// Starts logging; `usual` is the filter if the command line gives none.
    pub(crate) fn start(&self, usual: &str) -> anyhow::Result<()> {
        let wanted = self.log.as_deref().unwrap_or(usual);
        // Only the command line configures the filter, not the environment.
        let filter = EnvFilter::builder()
            .parse(wanted)
            .with_context(|| format!("--log {wanted:?} is not a filter: use e.g. info"))?;
        let log = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal());
        match self.log_format {
            Format::Text => log.init(),
            Format::Json => log.json().init(),
        }
        Ok(())
    }
}
