use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use haggle_plugin_manifest::{COMPONENTS, RUSTFLAGS};

const TARGET: &str = "wasm32-unknown-unknown";
const PROFILE: &str = "plugin";

/// Compiles every component's crate with cargo and returns the paths of the core modules, in the order of
/// [`COMPONENTS`].
pub(crate) fn core_modules(root: &Path) -> Result<Vec<PathBuf>> {
    require_target()?;
    // A separate target folder: these flags differ from those of other builds, so each build would recompile a
    // shared folder.
    let base = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let target = root.join(base).join("plugins");
    let flags = flags(root)?;
    // One build for each component: a common build would unify their features.
    for component in COMPONENTS {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(root);
        cargo.args(["build", "--locked", "--target", TARGET, "--profile", PROFILE]);
        cargo.arg("--target-dir").arg(&target).args(["--package", component.package]);
        if component.is_library {
            cargo.args(["--features", "component"]);
        }
        cargo.env("CARGO_ENCODED_RUSTFLAGS", &flags).env_remove("RUSTFLAGS");
        let status = cargo.status().context("cannot run cargo")?;
        if !status.success() {
            let name = component.name;
            bail!("cargo could not compile {name} ({status}); what it says stands above");
        }
    }
    let folder = target.join(TARGET).join(PROFILE);
    Ok(COMPONENTS.iter().map(|component| folder.join(component.module())).collect())
}

/// The compiler's flags, with every path of this machine replaced by one that is the same everywhere.
fn flags(root: &Path) -> Result<OsString> {
    let mut flags: Vec<OsString> = RUSTFLAGS.iter().map(Into::into).collect();
    let mut remap = |from: &Path, to: &str| {
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(from);
        flag.push("=");
        flag.push(to);
        flags.push(flag);
    };
    // The last prefix that matches wins, so the widest comes first.
    remap(&sysroot()?, "/rust");
    // The name of a registry's folder depends on where this machine gets its crates from.
    let registries = cargo_home()?.join("registry").join("src");
    for registry in fs::read_dir(&registries).into_iter().flatten() {
        let registry = registry.with_context(|| format!("cannot read {}", registries.display()))?;
        remap(&registry.path(), "/crates");
    }
    remap(root, "/haggle");
    // Cargo's own way to separate flags that may contain spaces.
    Ok(flags.join(&OsString::from("\u{1f}")))
}

fn cargo_home() -> Result<PathBuf> {
    if let Some(home) = env::var_os("CARGO_HOME") {
        return Ok(home.into());
    }
    let home = env::home_dir().context("there is no home directory: set CARGO_HOME")?;
    Ok(home.join(".cargo"))
}

fn require_target() -> Result<()> {
    let libraries = sysroot()?.join("lib/rustlib").join(TARGET).join("lib");
    if !libraries.is_dir() {
        bail!(
            "the target {TARGET} is not installed for this toolchain: run `rustup target add {TARGET}`"
        );
    }
    Ok(())
}

fn sysroot() -> Result<PathBuf> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--print", "sysroot"])
        .output()
        .context("cannot run rustc to find its libraries")?;
    let text =
        String::from_utf8(output.stdout).context("rustc printed a path that is not UTF-8")?;
    Ok(PathBuf::from(text.trim_end()))
}
