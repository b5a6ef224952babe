use std::{
    ffi::OsString,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{engine::compiling_engine, error::LoadError, limits::Limits, metering};

/// Where components are compiled.
#[derive(Clone, Debug)]
pub enum Compiler {
    /// In this process. It cannot be stopped half-way, so this is for hosts that trust what they load.
    InProcess,
    /// In a process of its own, which is killed when it takes too long and whose memory is limited. It is
    /// started as `program args... INPUT OUTPUT` and calls [`compile_worker`].
    Worker {
        /// The program.
        program: PathBuf,
        /// What stands before the two paths.
        args: Vec<OsString>,
    },
}

/// The most memory a worker may map: CPython compiles within a fifth of it.
const WORKER_MEMORY: u64 = 8 << 30;

impl Compiler {
    /// Compiles a component into code that the engine of this build can load.
    pub(crate) fn compile(&self, component: &[u8], limits: &Limits) -> Result<Vec<u8>, LoadError> {
        match self {
            Self::InProcess => precompile(component),
            Self::Worker { program, args } => {
                run_worker(program, args, component, limits.compile_time())
            }
        }
    }
}

/// The worker's part: compiles the component in `input` into `output`.
///
/// # Errors
/// A text for the operator.
pub fn compile_worker(input: &Path, output: &Path) -> Result<(), String> {
    let limit =
        rustix::process::Rlimit { current: Some(WORKER_MEMORY), maximum: Some(WORKER_MEMORY) };
    rustix::process::setrlimit(rustix::process::Resource::As, limit)
        .map_err(|error| format!("cannot limit memory: {error}"))?;
    let component = std::fs::read(input).map_err(|error| error.to_string())?;
    let compiled = precompile(&component).map_err(|error| error.to_string())?;
    std::fs::write(output, compiled).map_err(|error| error.to_string())
}

fn precompile(component: &[u8]) -> Result<Vec<u8>, LoadError> {
    let metered = metering::instrument(component).map_err(LoadError::Compile)?;
    compiling_engine()
        .and_then(|engine| engine.precompile_component(&metered))
        .map_err(|error| LoadError::Compile(format!("{error:#}")))
}

fn run_worker(
    program: &Path,
    args: &[OsString],
    component: &[u8],
    limit: Duration,
) -> Result<Vec<u8>, LoadError> {
    let host = |error: std::io::Error| LoadError::Host(format!("compile worker: {error}"));
    let folder = tempfile::tempdir().map_err(host)?;
    let (input, output) = (folder.path().join("in.wasm"), folder.path().join("out.cwasm"));
    std::fs::write(&input, component).map_err(host)?;
    let mut worker = Command::new(program)
        .args(args)
        .args([&input, &output])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(host)?;
    let started = Instant::now();
    let mut pause = Duration::from_millis(1);
    let status = loop {
        if let Some(status) = worker.try_wait().map_err(host)? {
            break status;
        }
        if started.elapsed() >= limit {
            worker.kill().map_err(host)?;
            worker.wait().map_err(host)?;
            return Err(LoadError::CompileTime { limit });
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    };
    if !status.success() {
        let mut said = String::new();
        if let Some(stderr) = worker.stderr.take() {
            // What it said is a help, not a need: a damaged text leaves the status.
            drop(stderr.take(4096).read_to_string(&mut said));
        }
        return Err(LoadError::Compile(format!("{status}: {}", said.trim())));
    }
    std::fs::read(&output).map_err(host)
}
