use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use haggle_model::Name;
use haggle_runtime::{LoadState, PluginView};
use haggle_sandbox::Limits;
use serde_json::Value;

use super::{path, show};
use crate::{
    client::{Client, Remote},
    commands::compile_worker,
    input, output,
    progress::Progress,
};

/// Load a plugin, or a new generation of one, into a running host
///
/// The host checks, compiles and tests the plugin; then the next call uses it. If the host refuses it,
/// nothing changes. Without --configuration the configuration is {}, even if the previous generation had
/// another one.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Load {
    /// The name by which scaling policies and providers refer to the plugin
    name: Name,
    /// The component: the .wasm file that your toolchain built
    file: PathBuf,
    /// The configuration that every call passes to the plugin: a JSON object, or @FILE with one
    #[arg(long, value_name = "JSON|@FILE")]
    configuration: Option<String>,
    /// Print the plugin as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

const EXAMPLES: &str = "\
Examples:
  haggle plugin load mine plugin.wasm
  haggle plugin load mine plugin.wasm --configuration '{\"damping\": 0.9}'
  haggle plugin load mine plugin.wasm --configuration @mine.json --json";

/// How long the upload request waits; longer than the built-in plugins take.
const WAIT: &str = "1s";

/// Pause between two polls of the upload's state.
const PAUSE: Duration = Duration::from_millis(250);

/// Maximum time to wait for an upload. The host's own compile timeout is much shorter.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

impl Load {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let bytes = input::bytes(&self.file)?;
        let configuration = self.configuration.as_deref().map(configuration).transpose()?;
        // Check the file before sending it. The host, not this command, limits its size.
        let limits = Limits { upload_bytes: usize::MAX, ..Limits::default() };
        compile_worker::compiler()?
            .inspect(&bytes, &limits)
            .with_context(|| format!("{} is no plugin", self.file.display()))?;
        let client = self.remote.connect();
        let plugin = {
            let progress = Progress::spinner(format!("loading {}", self.name));
            self.upload(&client, &bytes, configuration.as_deref(), &progress)?
        };
        if self.json { output::json(&plugin) } else { output::line(show::line(&plugin)) }
    }

    fn upload(
        &self,
        client: &Client,
        bytes: &[u8],
        configuration: Option<&str>,
        progress: &Progress,
    ) -> anyhow::Result<PluginView> {
        let parameters: Vec<(&str, &str)> = std::iter::once(("wait", WAIT))
            .chain(configuration.map(|text| ("configuration", text)))
            .collect();
        if let Some(plugin) = client.upload(&path(&self.name), &parameters, bytes)? {
            return Ok(plugin);
        }
        progress.say(format!("compiling {} on the host", self.name));
        self.outcome(client)
    }

    /// Polls until the upload has succeeded or failed.
    fn outcome(&self, client: &Client) -> anyhow::Result<PluginView> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            let plugin: PluginView = client.get(&path(&self.name))?;
            let load = plugin.load.clone();
            match load.as_ref().map(|load| load.status) {
                Some(LoadState::Compiling) => std::thread::sleep(PAUSE),
                Some(LoadState::Ready) => return Ok(plugin),
                Some(LoadState::Failed) => {
                    bail!(load.and_then(|load| load.error).unwrap_or_else(|| {
                        format!(
                            "plugin {} was not loaded, and the host does not say why",
                            self.name
                        )
                    }))
                }
                None => {
                    bail!("the host was restarted while it compiled {}: load it again", self.name)
                }
            }
        }
        Err(anyhow!(
            "plugin {} is still being compiled: look with `haggle plugin inspect`",
            self.name
        ))
    }
}

/// Reads a configuration: a JSON object from the command line or from a file.
pub(crate) fn configuration(text: &str) -> anyhow::Result<String> {
    let (text, place) = match text.strip_prefix('@') {
        Some(file) => {
            let text = input::text(Path::new(file)).context("the configuration")?;
            (text, format!("the configuration {file}"))
        }
        None => (text.to_owned(), "--configuration".to_owned()),
    };
    match serde_json::from_str(&text) {
        Ok(Value::Object(object)) => Ok(Value::Object(object).to_string()),
        Ok(_) => bail!("{place} is not a JSON object: write e.g. {{\"damping\": 0.9}}"),
        Err(error) => bail!("{place} is not JSON: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::configuration;

    #[test]
    fn a_configuration_is_an_object_here_or_in_a_file() {
        assert_eq!(configuration(" {\"a\": 1}").unwrap(), "{\"a\":1}");
        for wrong in ["", "[1]", "{a: 1}", "@/no/such/file"] {
            assert!(configuration(wrong).is_err(), "{wrong}");
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "{\n  \"a\": }").unwrap();
        let error = configuration(&format!("@{}", file.path().display())).unwrap_err().to_string();
        assert!(
            error.contains("line 2") && error.contains(file.path().to_str().unwrap()),
            "{error}"
        );
    }
}
