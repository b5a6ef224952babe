//! The worker's part of checking and compiling an upload, and what it and the host say to each other.
//!
//! Everything that parses an upload runs here, so that what makes it overflow, hang or take all memory costs
//! the host that one upload. The two hand each other files in a folder of the host's.

use std::{fs, path::Path};

use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};

use crate::{
    engine::compiling_engine,
    error::Refusal,
    inspect::{Inspection, examine, on_large_stack},
    orphan,
};

/// What is to be done.
pub(crate) const TASK: &str = "task";
/// The upload, as it came.
pub(crate) const UPLOAD: &str = "upload.wasm";
/// What came of it: a [`Reply`].
pub(crate) const REPLY: &str = "reply";
/// The machine code, where that was asked for.
pub(crate) const COMPILED: &str = "compiled.cwasm";

/// The most bytes of a reply: names of imports and exports, or an error.
pub(crate) const MOST_REPLY: u64 = 1 << 20;

/// The most memory a worker may map: CPython compiles within a fifth of it.
const MEMORY: u64 = 8 << 30;

/// What a host asks of a worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    /// The host's process, with which the worker ends.
    pub(crate) host: u32,
    /// Whether the upload is to be compiled, or only looked at.
    pub(crate) compile: bool,
}

/// What a worker answers, unless it dies.
pub(crate) type Reply = Result<Inspection, Refusal>;

/// The worker's part: does what the host asks for in the folder that it names.
///
/// # Errors
/// A text for the operator, where the machine or the host is at fault. What is wrong with the upload goes
/// into the reply.
pub fn compile_worker(folder: &Path) -> Result<(), String> {
    let io = |error: std::io::Error| error.to_string();
    let task = fs::read(folder.join(TASK)).map_err(io)?;
    let task: Task = postcard::from_bytes(&task).map_err(|error| error.to_string())?;
    orphan::end_with(task.host)?;
    limit(Resource::As, MEMORY)?;
    // What an upload makes of this process is of no use to anybody.
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

/// Looks at an upload, and compiles it if that is asked for.
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
