use std::path::Path;

use anyhow::Context;
use clap::Args;
use haggle_model::{Name, escaped};
use haggle_runtime::{GenerationView, LastErrorView, PluginView};
use haggle_sandbox::{Compiler, Digest, Inspection, Limits};
use serde::Serialize;

use super::{path, show};
use crate::{client::Remote, commands::compile_worker, input, output};

/// Show a plugin of a host, or of a file without running it
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Inspect {
    /// The name of a plugin on the host, or a .wasm file
    #[arg(value_name = "NAME|FILE")]
    what: String,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

const EXAMPLES: &str = "\
Examples:
  haggle plugin inspect mine
  haggle plugin inspect plugin.wasm
  haggle plugin inspect ./mine --json      # a file without an ending";

/// The properties of a component in a file.
#[derive(Debug, Serialize)]
struct Found {
    file: String,
    size: u64,
    digest: String,
    /// `component`, or `module` with component type information.
    format: &'static str,
    roles: Vec<String>,
    imports: Vec<String>,
    exports: Vec<String>,
    wasi: bool,
}

impl Inspect {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let file = Path::new(&self.what);
        match Name::new(&self.what) {
            // A file of that name in the current folder is still available as ./NAME.
            Ok(name) => self.of_host(&name),
            Err(_) => {
                let found = Found::open(file, &compile_worker::compiler()?)?;
                if self.json { output::json(&found) } else { output::line(found.described()) }
            }
        }
    }

    fn of_host(&self, name: &Name) -> anyhow::Result<()> {
        let plugin: PluginView = self.remote.connect().get(&path(name))?;
        if self.json { output::json(&plugin) } else { output::line(described(&plugin)) }
    }
}

impl Found {
    fn open(file: &Path, compiler: &Compiler) -> anyhow::Result<Self> {
        let bytes = input::bytes(file)?;
        let inspection = compiler
            .inspect(&bytes, &Limits::default())
            .with_context(|| file.display().to_string())?;
        let Inspection { roles, imports, exports, encoded, wasi } = inspection;
        Ok(Self {
            file: file.display().to_string(),
            size: bytes.len() as u64,
            digest: Digest::of(&bytes).to_string(),
            format: if encoded { "module" } else { "component" },
            roles: roles.iter().map(ToString::to_string).collect(),
            imports,
            exports,
            wasi,
        })
    }

    fn described(&self) -> String {
        let format = match self.format {
            "module" => "core module with component type information",
            _ => "component",
        };
        lines(&[
            ("file", self.file.clone()),
            ("format", format.to_owned()),
            ("size", show::size(self.size)),
            ("sha256", self.digest.clone()),
            ("roles", self.roles.join(", ")),
            ("imports", list(&self.imports)),
            ("exports", list(&self.exports)),
        ])
    }
}

fn described(plugin: &PluginView) -> String {
    let generation = |which: &GenerationView| {
        lines(&[
            ("generation", which.generation.to_string()),
            ("calls itself", escaped(&format!("{} {}", which.name, which.version))),
            ("summary", escaped(&which.summary)),
            ("roles", which.roles.join(", ")),
            ("size", show::size(which.size)),
            ("sha256", which.digest.clone()),
            ("configuration", which.configuration.to_string()),
        ])
    };
    let mut text = lines(&[
        ("plugin", plugin.name.to_string()),
        ("origin", if plugin.built_in { "built in" } else { "loaded" }.to_owned()),
    ]);
    for (which, title) in [(&plugin.current, "decides"), (&plugin.previous, "before")] {
        if let Some(which) = which {
            text.push_str(&format!("\n\n{title}:\n{}", generation(which)));
        }
    }
    if let Some(error) = plugin.load.as_ref().and_then(|load| load.error.as_ref()) {
        text.push_str(&format!("\n\nthe newest upload was refused: {}", escaped(error)));
    }
    if let Some(LastErrorView { at, generation, function, message }) = &plugin.last_error {
        text.push_str(&format!(
            "\n\nlast error, at {at}: generation {generation}, {function}: {}",
            escaped(message)
        ));
    }
    text
}

/// Aligns names and values.
fn lines(fields: &[(&str, String)]) -> String {
    let line = |(name, value): &(&str, String)| format!("{name:<14} {value}").trim_end().to_owned();
    fields.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join("\n               ") }
}

#[cfg(test)]
mod tests {
    use super::{Compiler, Found};
    use std::path::Path;

    #[test]
    fn a_file_is_described_without_running_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("example.wasm");
        std::fs::write(&file, haggle_builtin::EXAMPLE.bytes).unwrap();
        let found = Found::open(&file, &Compiler::InProcess).unwrap();
        assert_eq!(found.roles, haggle_builtin::EXAMPLE.roles);
        assert_eq!(found.digest, haggle_builtin::EXAMPLE.sha256.trim());
        let text = found.described();
        assert!(text.contains("forecasting") && text.contains(&found.digest), "{text}");
    }

    #[test]
    fn what_is_no_plugin_is_refused_with_its_name() {
        let open = |file: &Path| Found::open(file, &Compiler::InProcess);
        let missing = format!("{:#}", open(Path::new("no/such.wasm")).unwrap_err());
        assert!(missing.contains("no/such.wasm cannot be read"), "{missing}");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "not wasm").unwrap();
        let error = format!("{:#}", open(file.path()).unwrap_err());
        assert!(error.contains("not WebAssembly"), "{error}");
    }
}
