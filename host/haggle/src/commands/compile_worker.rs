//! The part of loading a component that runs in a process of its own.

use std::{ffi::OsString, path::PathBuf};

use anyhow::{Context, anyhow};
use clap::Args;
use haggle_sandbox::Compiler;

/// Checks a component and compiles it into machine code, as a child of a host
#[derive(Debug, Args)]
#[command(hide = true)]
pub(crate) struct CompileWorker {
    /// The folder in which the host left the component
    folder: PathBuf,
}

/// The name of this command on the command line.
const NAME: &str = "compile-worker";

impl CompileWorker {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        haggle_sandbox::compile_worker(&self.folder).map_err(|error| anyhow!(error))
    }
}

/// A compiler that starts this program as its worker, so that a component that takes too long to compile
/// can be stopped.
pub(crate) fn compiler() -> anyhow::Result<Compiler> {
    let program = std::env::current_exe().context("this program does not find its own file")?;
    Ok(Compiler::Worker { program, args: vec![OsString::from(NAME)] })
}
