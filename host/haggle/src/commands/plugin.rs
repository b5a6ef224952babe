//! `haggle plugin`

mod inspect;
mod load;
mod show;

use anyhow::Context;
use clap::{Args, Subcommand};
use haggle_model::Name;
use haggle_runtime::PluginView;
use serde::Deserialize;

use crate::{client::Remote, output};

pub(crate) use inspect::Inspect;
pub(crate) use load::{Load, configuration};

/// Load, list, inspect, roll back and delete the plugins of a host
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Plugin {
    Load(Load),
    List(List),
    Inspect(Inspect),
    Rollback(Rollback),
    Delete(Delete),
}

const EXAMPLES: &str = "\
Examples:
  haggle plugin load mine target/plugin.wasm
  haggle plugin load mine plugin.wasm --configuration '{\"damping\": 0.9}'
  haggle plugin list
  haggle plugin inspect target/plugin.wasm
  haggle plugin inspect mine
  haggle plugin rollback mine
  haggle plugin delete mine";

/// List the plugins of a host
#[derive(Debug, Args)]
#[command(after_help = LIST_EXAMPLES)]
pub(crate) struct List {
    /// Print them as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

const LIST_EXAMPLES: &str = "\
Examples:
  haggle plugin list
  haggle plugin list --json --url http://10.0.0.7:4870";

/// Return to the previous generation
///
/// The command swaps the active and the previous generation, so a second rollback undoes the first.
#[derive(Debug, Args)]
#[command(after_help = ROLLBACK_EXAMPLES)]
pub(crate) struct Rollback {
    /// The plugin
    name: Name,
    /// Print the plugin as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

const ROLLBACK_EXAMPLES: &str = "\
Examples:
  haggle plugin rollback mine
  haggle plugin rollback mine --json";

/// Delete a plugin that nothing uses
///
/// The host refuses while a scaling policy or provider refers to the plugin. If the plugin had replaced a
/// built-in plugin of the same name, the built-in plugin becomes active again.
#[derive(Debug, Args)]
#[command(after_help = DELETE_EXAMPLES)]
pub(crate) struct Delete {
    /// The plugin
    name: Name,
    #[command(flatten)]
    remote: Remote,
}

const DELETE_EXAMPLES: &str = "\
Examples:
  haggle plugin delete mine";

/// The response for a collection.
#[derive(Debug, Deserialize)]
struct Items<T> {
    items: Vec<T>,
}

impl Plugin {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Load(load) => load.run(),
            Self::List(list) => list.run(),
            Self::Inspect(inspect) => inspect.run(),
            Self::Rollback(rollback) => rollback.run(),
            Self::Delete(delete) => delete.run(),
        }
    }
}

impl List {
    fn run(self) -> anyhow::Result<()> {
        let Items { items } = self.remote.connect().get::<Items<PluginView>>("/v1/plugins")?;
        if self.json { output::json(&items) } else { output::line(show::table(&items)) }
    }
}

impl Rollback {
    fn run(self) -> anyhow::Result<()> {
        let path = format!("{}/rollback", path(&self.name));
        let plugin: PluginView =
            self.remote.connect().post(&path).context("nothing was changed")?;
        if self.json { output::json(&plugin) } else { output::line(show::line(&plugin)) }
    }
}

impl Delete {
    fn run(self) -> anyhow::Result<()> {
        self.remote.connect().delete(&path(&self.name))?;
        output::line(format_args!("plugin {} deleted", self.name))
    }
}

/// The API path of a plugin.
fn path(name: &Name) -> String {
    format!("/v1/plugins/{name}")
}
