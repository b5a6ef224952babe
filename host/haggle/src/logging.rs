//! Diagnostics on standard error.

use std::io::IsTerminal;

use anyhow::Context;
use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

/// What is logged, and how.
#[derive(Debug, Args)]
pub(crate) struct Logging {
    /// What to log on standard error: off, error, warn, info, debug, trace, or by module such as
    /// `info,haggle_runtime=debug`
    #[arg(long, global = true, value_name = "FILTER", help_heading = "Diagnostics")]
    log: Option<String>,
    /// How a line of the log looks
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
    /// For a person.
    Text,
    /// One JSON object a line.
    Json,
}

impl Logging {
    /// Begins to log; `usual` is what is logged where nothing was asked for.
    pub(crate) fn start(&self, usual: &str) -> anyhow::Result<()> {
        let wanted = self.log.as_deref().unwrap_or(usual);
        // Only what was asked for here counts: the environment is no configuration.
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
