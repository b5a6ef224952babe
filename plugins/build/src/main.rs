//! Compiles the built-in plugins and the example to components, and writes them with their manifest to
//! `plugins/dist`. With `--check` it writes nothing, and reports whether the files there are bit-identical with
//! those built from the sources.

use std::{
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use haggle_plugin_manifest::{
    COMPONENTS, Component, Manifest, REBUILD, Record, hex_sha256, source_digest,
};

mod compile;
mod encode;

const USAGE: &str = "\
Compiles the built-in plugins to WebAssembly components in plugins/dist.

Usage: cargo run -p haggle-build-plugins [-- --check]

  --check   write nothing; exit 1 unless what is committed is what the sources give
  --help    this text
";

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => build(),
        ["--check"] => check(),
        ["--help" | "-h"] => say(USAGE).map(|()| ExitCode::SUCCESS),
        other => bail!("unknown arguments: {}\n\n{USAGE}", other.join(" ")),
    }
}

/// A component, encoded, with its entry for the manifest.
struct Built {
    component: &'static Component,
    bytes: Vec<u8>,
    record: Record,
}

fn build() -> Result<ExitCode> {
    let root = root()?;
    let built = build_all(&root)?;
    let dist = root.join("plugins/dist");
    fs::create_dir_all(&dist).with_context(|| format!("cannot create {}", dist.display()))?;
    for Built { component, bytes, record } in &built {
        write(&dist.join(component.file()), bytes)?;
        write(&dist.join(component.digest_file()), record.sha256.as_bytes())?;
        let (name, size) = (component.name, record.bytes as f64 / 1024.0);
        say(&format!("{name:<20} {size:>6.1} KiB  sha256 {}\n", record.sha256))?;
    }
    let manifest = Manifest { components: built.into_iter().map(|b| b.record).collect() };
    write(&dist.join("manifest.json"), manifest.to_json()?.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn check() -> Result<ExitCode> {
    let root = root()?;
    let dist = root.join("plugins/dist");
    let manifest = dist.join("manifest.json");
    let text = fs::read_to_string(&manifest)
        .with_context(|| format!("cannot read {}: run `{REBUILD}`", manifest.display()))?;
    let manifest = Manifest::from_json(&text)
        .with_context(|| format!("{} is not a manifest: run `{REBUILD}`", manifest.display()))?;
    let mut differing = 0;
    for Built { component, bytes, record } in build_all(&root)? {
        let name = component.name;
        let difference = match fs::read(dist.join(component.file())) {
            Err(error) => Some(format!("cannot be read ({error})")),
            Ok(committed) if committed != bytes => Some(format!(
                "differs from what its sources give (committed sha256 {}, built {})",
                hex_sha256(&committed),
                record.sha256
            )),
            Ok(_) if manifest.get(name) != Some(&record) => {
                Some("is the same, but its entry in manifest.json is not".to_owned())
            }
            Ok(_) => None,
        };
        differing += usize::from(difference.is_some());
        say(&format!("{name:<20} {}\n", difference.as_deref().unwrap_or("is bit-identical")))?;
    }
    if differing == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("{differing} of {} are stale: run `{REBUILD}`\n", COMPONENTS.len()))?;
    Ok(ExitCode::FAILURE)
}

fn build_all(root: &Path) -> Result<Vec<Built>> {
    let modules = compile::core_modules(root)?;
    let mut built = Vec::new();
    for (component, module) in COMPONENTS.iter().zip(modules) {
        let bytes = fs::read(&module)
            .with_context(|| format!("cannot read {}, which cargo built", module.display()))?;
        let bytes = encode::component(&bytes).with_context(|| format!("in {}", component.name))?;
        let record = Record {
            name: component.name.to_owned(),
            bytes: bytes.len() as u64,
            sha256: hex_sha256(&bytes),
            sources_sha256: source_digest(root, component)?,
        };
        built.push(Built { component, bytes, record });
    }
    Ok(built)
}

/// The root of the repository that cargo runs this from.
fn root() -> Result<PathBuf> {
    let own =
        env::var_os("CARGO_MANIFEST_DIR").with_context(|| format!("run it as `{REBUILD}`"))?;
    let root = Path::new(&own).ancestors().nth(2).map(Path::to_owned);
    root.with_context(|| format!("{} is not plugins/build of a repository", own.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

fn say(text: &str) -> Result<()> {
    io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")
}
