//! `haggle replay`

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use haggle_model::Name;
use haggle_plugins::{Components, ReplayReport, replay};
use haggle_sandbox::{Grant, Limits, Options, Sandbox};
use haggle_store::{Digest, Plugins, Store, StoreError, StoreOptions, readable};

use super::compile_worker;
use crate::{output, progress::Progress};

/// Repeat every journalled call of the plugins, and compare the results
///
/// No host may be using the directory. Exits with 1 if any result differs.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Replay {
    /// The data directory of a host
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  haggle demo --for 20s --data ./demo-data && haggle replay --data ./demo-data
  haggle replay --data /var/lib/haggle --json";

impl Replay {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let report = {
            let progress = Progress::spinner("replaying decisions");
            replayed(&self.data, &mut |done| {
                progress.say(format!("{done} decisions replayed"));
            })?
        };
        if self.json {
            output::json(&report)?;
        } else {
            output::stdout(|out| {
                report.differing.iter().try_for_each(|one| writeln!(out, "{one}"))?;
                writeln!(out, "{}", summary(&report))
            })?;
        }
        match report.differing.len() {
            0 => Ok(()),
            differ => bail!("{differ} of {} decisions came out differently", report.replayed),
        }
    }
}

/// Replays the journal of a data directory.
fn replayed(data: &Path, progress: &mut dyn FnMut(u64)) -> anyhow::Result<ReplayReport> {
    if !data.is_dir() {
        bail!("{} is not a data directory of this host", data.display());
    }
    let store = Store::open(data, &StoreOptions::default())?;
    let sandbox = Sandbox::new(Options {
        limits: Limits::default(),
        compiler: compile_worker::compiler()?,
        cache: Some(data.join("cache")),
    })?;
    let unreadable = |what| tracing::warn!("a decision is not replayed: {what}");
    let calls = readable(store.calls(0)?, unreadable);
    Ok(replay(calls, &Kept(&store), &sandbox, progress)?)
}

/// The components in a host's store.
struct Kept<'a>(&'a Store);

impl Components for Kept<'_> {
    type Error = StoreError;

    fn component(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.artefacts().get(digest)
    }

    fn grants(&self, plugin: &Name, generation: u64) -> Result<Vec<Grant>, StoreError> {
        let kept = self.0.get::<Plugins>(&(plugin.clone(), generation))?;
        let granted = kept.into_iter().flat_map(|record| record.granted);
        Ok(granted.map(|grant| Grant { host: grant.host, guest: grant.guest }).collect())
    }
}

fn summary(report: &ReplayReport) -> String {
    format!("{} decisions replayed, {} differ", report.replayed, report.differing.len())
}

#[cfg(test)]
mod tests {
    use super::{ReplayReport, replayed, summary};
    use haggle_plugins::Difference;
    use std::path::Path;

    #[test]
    fn says_how_many_differ() {
        let difference = Difference {
            sequence: 7,
            plugin: "mine generation 2".to_owned(),
            function: "forecasting.fit".to_owned(),
            what: "another answer".to_owned(),
        };
        let report = ReplayReport { replayed: 12, differing: vec![difference] };
        assert_eq!(summary(&report), "12 decisions replayed, 1 differ");
    }

    #[test]
    fn a_directory_that_is_not_there_is_not_made() {
        let error = replayed(Path::new("no/such"), &mut |_| {}).unwrap_err().to_string();
        assert!(error.contains("no/such is not a data directory"), "{error}");
        assert!(!Path::new("no/such").exists());
    }
}
