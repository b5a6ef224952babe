//! The worker's part of checking and compiling an upload, and its protocol with the host.
//!
//! Everything that parses an upload runs here, so an upload that makes the parser overflow, hang or exhaust
//! memory affects only itself. Host and worker exchange files in a folder of the host.

use std::{fs, path::Path};

use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};

use crate::{
    engine::compiling_engine,
    error::Refusal,
    inspect::{Inspection, examine, on_large_stack},
    orphan,
};

/// The file with the [`Task`].
pub(crate) const TASK: &str = "task";
/// The file with the uploaded bytes.
pub(crate) const UPLOAD: &str = "upload.wasm";
/// The file with the [`Reply`].
pub(crate) const REPLY: &str = "reply";
/// The file with the machine code, if requested.
pub(crate) const COMPILED: &str = "compiled.cwasm";

/// Maximum size of a reply, in bytes: names of imports and exports, or an error.
pub(crate) const MOST_REPLY: u64 = 1 << 20;

/// Maximum memory that a worker may map, in bytes: CPython compiles within a fifth of it.
const MEMORY: u64 = 8 << 30;

/// The host's task for a worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    /// The process id of the host, with which the worker ends.
    pub(crate) host: u32,
    /// Whether to compile the upload, or only inspect it.
    pub(crate) compile: bool,
}

/// The worker's reply, unless it dies.
pub(crate) type Reply = Result<Inspection, Refusal>;

/// The worker's part: carries out the task in the given folder.
///
/// # Errors
/// A text for the operator, when the machine or the host is at fault. Errors of the upload go into the reply.
pub fn compile_worker(folder: &Path) -> Result<(), String> {
    let io = |error: std::io::Error| error.to_string();
    let task = fs::read(folder.join(TASK)).map_err(io)?;
    let task: Task = postcard::from_bytes(&task).map_err(|error| error.to_string())?;
    orphan::end_with(task.host)?;
    limit(Resource::As, MEMORY)?;
    // A core dump of this process is useless.
    limit(Resource::Core, 0)?;
    let upload = fs::read(folder.join(UPLOAD)).map_err(io)?;
    let reply = match on_large_stack(|| look(&upload, task.compile))? {
        Ok((inspection, compiled)) => {
            if let Some(compiled) = compiled {
                fs::write(folder.join(COMPILED), compiled).map_err(io)?;
            }
            Ok(inspection)
        }
        Err(refusal) => Err(refusal),
    };
    let reply = postcard::to_stdvec::<Reply>(&reply).map_err(|error| error.to_string())?;
    fs::write(folder.join(REPLY), reply).map_err(io)
}

/// Inspects an upload, and compiles it if requested.
pub(crate) fn look(upload: &[u8], compile: bool) -> Result<(Inspection, Option<Vec<u8>>), Refusal> {
    let (inspection, component) = examine(upload)?;
    let compiled = compile.then(|| precompile(&component)).transpose()?;
    Ok((inspection, compiled))
}

fn precompile(component: &[u8]) -> Result<Vec<u8>, Refusal> {
    let metered = haggle_metering::instrument(component)
        .map_err(|error| Refusal::Compile(error.to_string()))?;
    compiling_engine()
        .and_then(|engine| engine.precompile_component(&metered))
        .map_err(|error| Refusal::Compile(format!("{error:#}")))
}

fn limit(resource: Resource, most: u64) -> Result<(), String> {
    setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
        .map_err(|error| format!("cannot limit {resource:?}: {error}"))
}
