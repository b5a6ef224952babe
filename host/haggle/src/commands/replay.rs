//! `haggle replay`

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use haggle_sandbox::{Limits, Options};
use haggle_server::{Difference, ReplayReport};

use super::compile_worker;
use crate::{output, progress::Progress};

/// Run every journalled decision of a plugin again, and compare
///
/// No host may be using the directory. Exits with 1 if any decision comes out differently.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Replay {
    /// The data directory of a host
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  haggle demo --for 20s --data ./demo-data && haggle replay --data ./demo-data
  haggle replay --data /var/lib/haggle --json";

impl Replay {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let options = Options {
            limits: Limits::default(),
            compiler: compile_worker::compiler()?,
            cache: None,
        };
        let report = {
            let progress = Progress::spinner("replaying decisions");
            haggle_server::replay(&self.data, options, &mut |done| {
                progress.say(format!("{done} decisions replayed"));
            })?
        };
        if self.json {
            output::json(&report)?;
        } else {
            output::stdout(|out| {
                report.differing.iter().try_for_each(|one| writeln!(out, "{}", told(one)))?;
                writeln!(out, "{}", summary(&report))
            })?;
        }
        match report.differing.len() {
            0 => Ok(()),
            differ => bail!("{differ} of {} decisions came out differently", report.replayed),
        }
    }
}

fn told(difference: &Difference) -> String {
    let Difference { sequence, plugin, function, what } = difference;
    format!("decision {sequence}: plugin {plugin}, {function}: {what}")
}

fn summary(report: &ReplayReport) -> String {
    format!("{} decisions replayed, {} differ", report.replayed, report.differing.len())
}

#[cfg(test)]
mod tests {
    use super::{summary, told};
    use haggle_server::{Difference, ReplayReport};

    #[test]
    fn says_how_many_and_which() {
        let difference = Difference {
            sequence: 7,
            plugin: "mine generation 2".to_owned(),
            function: "forecasting.fit".to_owned(),
            what: "another answer".to_owned(),
        };
        let line = "decision 7: plugin mine generation 2, forecasting.fit: another answer";
        assert_eq!(told(&difference), line);
        let report = ReplayReport { replayed: 12, differing: vec![difference] };
        assert_eq!(summary(&report), "12 decisions replayed, 1 differ");
    }
}
