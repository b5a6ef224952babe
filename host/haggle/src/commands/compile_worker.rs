//! The part of loading a component that runs in a separate process.

use std::{ffi::OsString, path::PathBuf};

use anyhow::{Context, anyhow};
use clap::Args;
use haggle_sandbox::Compiler;

/// Check a component and compile it into machine code, as a child process of a host
#[derive(Debug, Args)]
#[command(hide = true)]
pub(crate) struct CompileWorker {
    /// The folder in which the host stored the component
    folder: PathBuf,
}

/// The name of this command on the command line.
const NAME: &str = "compile-worker";

impl CompileWorker {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        haggle_sandbox::compile_worker(&self.folder).map_err(|error| anyhow!(error))
    }
}

/// A compiler that starts this program as its worker, so that the host can stop a compilation that takes too
/// long.
pub(crate) fn compiler() -> anyhow::Result<Compiler> {
    let program = std::env::current_exe().context("this program does not find its own file")?;
    Ok(Compiler::Worker { program, args: vec![OsString::from(NAME)] })
}
