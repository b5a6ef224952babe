use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use crate::{
    error::{LoadError, Refusal},
    inspect::{Inspection, check_header, on_large_stack},
    limits::Limits,
    work::WorkFolder,
    worker::{self, COMPILED, MOST_REPLY, REPLY, Reply, TASK, Task, UPLOAD},
};

/// Where uploads are checked and compiled.
#[derive(Clone, Debug)]
pub enum Compiler {
    /// In this process. A compilation cannot be stopped, so use this only for trusted components.
    InProcess,
    /// In a separate process with limited memory, which is killed on timeout. It is started as `program
    /// args... FOLDER` and calls [`compile_worker`](crate::compile_worker).
    Worker {
        /// The program.
        program: PathBuf,
        /// The arguments before the folder.
        args: Vec<OsString>,
    },
}

/// Length of the worker's last output that an error quotes, in bytes.
const SAID: u64 = 2 << 10;
/// The file for the worker's standard error.
const STDERR: &str = "stderr";

impl Compiler {
    /// Inspects an upload without compiling or running it.
    ///
    /// # Errors
    /// [`LoadError`] with the reason.
    pub fn inspect(&self, upload: &[u8], limits: &Limits) -> Result<Inspection, LoadError> {
        check_header(upload, limits)?;
        Ok(self.look(upload, limits, None, false)?.0)
    }

    /// Checks an upload and compiles it into code that this build's engine can load. Files for the worker lie
    /// in a folder within `parent`.
    pub(crate) fn compile(
        &self,
        upload: &[u8],
        limits: &Limits,
        parent: Option<&Path>,
    ) -> Result<Vec<u8>, LoadError> {
        let (_, compiled) = self.look(upload, limits, parent, true)?;
        compiled.ok_or_else(|| LoadError::Host("the compile worker left no code".to_owned()))
    }

    fn look(
        &self,
        upload: &[u8],
        limits: &Limits,
        parent: Option<&Path>,
        compile: bool,
    ) -> Result<(Inspection, Option<Vec<u8>>), LoadError> {
        match self {
            Self::InProcess => on_large_stack(|| worker::look(upload, compile))
                .map_err(LoadError::Host)?
                .map_err(LoadError::Refused),
            Self::Worker { program, args } => {
                let host = |error: io::Error| LoadError::Host(format!("compile worker: {error}"));
                let folder = WorkFolder::new(parent).map_err(host)?;
                let task = Task { host: std::process::id(), compile };
                let folder = folder.path();
                prepare(folder, upload, &task).map_err(host)?;
                let mut command = Command::new(program);
                command.args(args).arg(folder);
                let status = run(command, folder, limits.compile_time())?;
                if !status.success() {
                    let said = last_words(folder).unwrap_or_default();
                    return Err(LoadError::WorkerDied { status: status.to_string(), said });
                }
                let inspection = reply(folder).map_err(host)??;
                let compiled = compile.then(|| fs::read(folder.join(COMPILED))).transpose();
                Ok((inspection, compiled.map_err(host)?))
            }
        }
    }
}

fn prepare(folder: &Path, upload: &[u8], task: &Task) -> io::Result<()> {
    let task = postcard::to_stdvec(task).map_err(io::Error::other)?;
    fs::write(folder.join(TASK), task)?;
    fs::write(folder.join(UPLOAD), upload)
}

/// A worker process that is killed when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // The process may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Runs a worker until it ends, or kills it on timeout. If this thread ends first, the kernel kills the
/// worker.
fn run(mut command: Command, folder: &Path, limit: Duration) -> Result<ExitStatus, LoadError> {
    let host = |error: io::Error| LoadError::Host(format!("compile worker: {error}"));
    let stderr = File::create(folder.join(STDERR)).map_err(host)?;
    // The worker ends when its standard input closes; this process holds the other end.
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(stderr);
    let mut worker = Running(command.spawn().map_err(host)?);
    let started = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        // `wait` would close the worker's standard input.
        if let Some(status) = worker.0.try_wait().map_err(host)? {
            return Ok(status);
        }
        if started.elapsed() >= limit {
            return Err(LoadError::CompileTime { limit });
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

fn reply(folder: &Path) -> io::Result<Reply> {
    let mut bytes = Vec::new();
    File::open(folder.join(REPLY))?.take(MOST_REPLY + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_REPLY {
        let what = "what the component imports and exports has names that are too long".to_owned();
        return Ok(Err(Refusal::Invalid(what)));
    }
    postcard::from_bytes(&bytes).map_err(io::Error::other)
}

/// The end of a worker's output, formatted to continue a sentence.
fn last_words(folder: &Path) -> io::Result<String> {
    let mut stderr = File::open(folder.join(STDERR))?;
    let length = stderr.metadata()?.len();
    stderr.seek(SeekFrom::Start(length.saturating_sub(SAID)))?;
    let mut bytes = Vec::new();
    stderr.take(SAID).read_to_end(&mut bytes)?;
    let plain = |c: char| if c.is_control() && c != '\n' { ' ' } else { c };
    let text: String = String::from_utf8_lossy(&bytes).chars().map(plain).collect();
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    Ok(if lines.is_empty() { String::new() } else { format!(": {}", lines.join(" | ")) })
}

#[cfg(test)]
mod tests;
