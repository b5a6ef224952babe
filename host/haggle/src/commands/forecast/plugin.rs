//! The forecasting plugin.

use std::path::Path;

use anyhow::{Context, anyhow, bail};
use haggle_builtin::{BUILTIN, EXAMPLE};
use haggle_model::{Name, ScalingPolicy};
use haggle_sandbox::{Compiler, Generation, Limits, Load, Options, Role, Sandbox};

use crate::{
    commands::{compile_worker, plugin as uploads},
    input,
};

/// The plugin that the command line selects.
#[derive(Clone, Copy, Default)]
pub(in crate::commands) struct Wanted<'a> {
    /// A built-in plugin. If neither this nor `component` is given, the default plugin is used.
    pub(in crate::commands) plugin: Option<&'a Name>,
    /// The path of a .wasm file.
    pub(in crate::commands) component: Option<&'a Path>,
    pub(in crate::commands) configuration: Option<&'a str>,
    pub(in crate::commands) cache: Option<&'a Path>,
}

/// A loaded plugin with its configuration.
pub(in crate::commands) struct Forecaster {
    pub(in crate::commands) generation: Generation,
    pub(in crate::commands) configuration: String,
}

/// Loads a plugin.
pub(in crate::commands) fn load(wanted: Wanted<'_>) -> anyhow::Result<Forecaster> {
    let configuration = match wanted.configuration {
        Some(text) => uploads::configuration(text)?,
        None => "{}".to_owned(),
    };
    let (name, bytes, compiler) = match wanted.component {
        Some(file) => {
            let bytes = input::bytes(file)?;
            (file.display().to_string(), bytes, compile_worker::compiler()?)
        }
        None => {
            let (name, bytes) = built_in(wanted.plugin)?;
            // A built-in plugin needs no compile timeout.
            (name, bytes.to_vec(), Compiler::InProcess)
        }
    };
    let options = Options { limits: limits(), compiler, cache: wanted.cache.map(Path::to_owned) };
    let sandbox = Sandbox::new(options)?;
    let generation = sandbox
        .load(Load {
            plugin: &name,
            generation: 1,
            bytes: &bytes,
            configuration: &configuration,
            grants: &[],
        })
        .with_context(|| format!("plugin {name} cannot be loaded"))?;
    if !generation.roles().contains(&Role::Forecasting) {
        let roles: Vec<String> = generation.roles().iter().map(ToString::to_string).collect();
        bail!("plugin {name} does not forecast: its roles are {}", roles.join(", "));
    }
    Ok(Forecaster { generation, configuration })
}

fn built_in(plugin: Option<&Name>) -> anyhow::Result<(String, &'static [u8])> {
    let name = plugin.cloned().unwrap_or_else(|| ScalingPolicy::default().forecasting.plugin);
    let forecasts =
        |plugin: &&haggle_builtin::Builtin| plugin.roles.contains(&Role::Forecasting.interface());
    let mut known = BUILTIN.iter().chain([&EXAMPLE]).filter(forecasts);
    match known.clone().find(|plugin| plugin.name == name.as_str()) {
        Some(plugin) => Ok((name.to_string(), plugin.bytes)),
        None => {
            let names: Vec<&str> = known.by_ref().map(|plugin| plugin.name).collect();
            Err(anyhow!(
                "there is no built-in plugin {name} that forecasts: there are {}; name a file with --component",
                names.join(", ")
            ))
        }
    }
}

/// The limits of a call. Only this command uses the machine, and a panel is larger than the batches of a
/// host, so the limits are higher; they still stop an endless loop.
fn limits() -> Limits {
    Limits {
        fuel: 2_000_000_000_000,
        deadline_ms: 60 * 60 * 1000,
        memory_bytes: 1 << 30,
        answer_bytes: 512 << 20,
        wait_ms: 60 * 60 * 1000,
        ..Limits::default()
    }
}
