use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{configuration::ConfigurationError, log_line::LogLine, role::Role, text, types::Fault};

/// The reason why an upload was refused. Nothing has changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The upload exceeds the maximum size.
    #[error(
        "{actual} bytes are more than an upload may have ({limit}): strip debug information, or raise limits.upload_bytes"
    )]
    TooLarge {
        /// The actual size, in bytes.
        actual: usize,
        /// The maximum size, in bytes.
        limit: usize,
    },
    /// The bytes are not an acceptable component.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The component has a forbidden import.
    #[error(
        "the component imports {0}, which a plugin may not have: a plugin gets `haggle:plugin/log` and a virtual WASI 0.2 without network"
    )]
    Import(String),
    /// A role's types differ from the contract.
    #[error(
        "role {role} does not match the contract: {cause}. Build it against the wit/ folder of this version"
    )]
    Mismatch {
        /// The role.
        role: Role,
        /// The difference.
        cause: String,
    },
    /// The compilation timed out.
    #[error(
        "compiling took longer than {limit:?} and was stopped: make the component smaller, or raise limits.compile_ms"
    )]
    CompileTime {
        /// The time limit.
        limit: Duration,
    },
    /// The process that checks and compiles the upload crashed or was killed.
    #[error(
        "the process that checks and compiles the upload died ({status}){said}: it overflowed its stack or ran out of memory, or was killed. Make the component smaller, or upload it again"
    )]
    WorkerDied {
        /// The exit status, such as `signal: 6 (SIGABRT)`.
        status: String,
        /// The end of its output, after `: `, or empty.
        said: String,
    },
    /// The configuration is not JSON, or the plugin's schema does not allow it.
    #[error("the configuration does not fit: {0}")]
    Configuration(#[from] ConfigurationError),
    /// The plugin's description of itself breaks the contract.
    #[error("the plugin's description {0}")]
    Description(String),
    /// The component compiled but failed the conformance check.
    #[error("the conformance check failed: {0}")]
    Conformance(#[from] CallError),
    /// A granted directory cannot be opened.
    #[error("the granted directory {path} cannot be opened: {cause}")]
    Grant {
        /// The directory.
        path: String,
        /// The reason.
        cause: String,
    },
    /// The host failed, for example its disk or a process.
    #[error("the host cannot load plugins: {0}")]
    Host(String),
}

/// The reason why an upload's bytes are refused, found without running them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The bytes are not WebAssembly.
    #[error(
        "this is not WebAssembly: {0}. Upload the .wasm file that your toolchain built; precompiled code is not accepted"
    )]
    NotWasm(String),
    /// The WebAssembly does not validate.
    #[error(
        "the bytes do not validate: {0}. The file is damaged or needs a WebAssembly feature that is off; build it again"
    )]
    Invalid(String),
    /// A core module with missing or invalid component type information.
    #[error(
        "this is a core module that cannot be made a component: {0}. Build it with the SDK, or encode it with `wasm-tools component new`"
    )]
    NotEncodable(String),
    /// The component exports no role.
    #[error("the component exports none of the roles {roles}; it exports: {found}", roles = Role::list())]
    NoRole {
        /// The actual exports.
        found: String,
    },
    /// An unknown version of the contract.
    #[error(
        "the component exports {export}, and this host knows {known}: build it against the wit/ folder of this version"
    )]
    Version {
        /// The export with the unknown version.
        export: String,
        /// The known version.
        known: String,
    },
    /// The component does not export `metadata`.
    #[error(
        "the component does not export haggle:plugin/metadata@0.2.0: every plugin says who it is"
    )]
    NoMetadata,
    /// Components or types nest too deeply.
    #[error(
        "the bytes nest components or types more than {most} deep: compose fewer components, or flatten the types"
    )]
    TooDeep {
        /// The maximum depth.
        most: usize,
    },
    /// Too many imports or exports.
    #[error(
        "the component has {actual} {what}, and a plugin may have {most}: remove those that it does not need"
    )]
    TooMany {
        /// `imports` or `exports`.
        what: String,
        /// The actual number.
        actual: usize,
        /// The maximum number.
        most: usize,
    },
    /// The component declares more memories, tables or instances than a call may use.
    #[error(
        "the component needs more than a call may use: {0}. Declare smaller memories and tables"
    )]
    TooDemanding(String),
    /// Compilation failed.
    #[error("compiling failed: {0}")]
    Compile(String),
}

/// The error of a call without an answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("plugin {plugin} generation {generation}, {function}: {cause}{diagnostics}")]
pub struct CallError {
    /// The plugin's name.
    pub plugin: String,
    /// Its generation.
    pub generation: u64,
    /// The function that was called, such as `forecasting.forecast`.
    pub function: &'static str,
    /// The cause.
    pub cause: Cause,
    /// The guest's diagnostics.
    pub diagnostics: Box<Diagnostics>,
}

/// Diagnostics of a guest that gave no answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics {
    /// The log lines before the failure.
    pub log: Vec<LogLine>,
    /// Number of log lines dropped beyond the limit.
    pub log_dropped: usize,
    /// The end of standard output and standard error, at most 4 KiB. Line breaks are its only control
    /// characters.
    pub output: String,
    /// The functions that were running, innermost first, at most 20: by name, or as `function 7` if the
    /// component does not name them.
    pub backtrace: Vec<String>,
}

/// Length of the output and of the last log line that an error quotes, in bytes.
const QUOTED: usize = 1 << 10;

/// Continues a sentence with the guest's position and last output.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.log.last() {
            let mut message = line.message.clone();
            text::cut(&mut message, QUOTED);
            write!(f, "; its last log line: {message}")?;
        }
        let lines: Vec<&str> =
            self.output.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let output = lines.join(" | ");
        if !output.is_empty() {
            // The important part of a stack trace is at its end.
            let end = output.ceil_char_boundary(output.len().saturating_sub(QUOTED));
            write!(f, "; it wrote: {}", output.get(end..).unwrap_or_default())?;
        }
        if !self.backtrace.is_empty() {
            write!(f, "; at {}", self.backtrace.join(" < "))?;
        }
        Ok(())
    }
}

/// The cause of a failed call.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The fuel ran out.
    #[error("used up its fuel ({0}): an endless loop, or a batch too large for limits.fuel")]
    Fuel(u64),
    /// The deadline passed.
    #[error("did not answer within {0:?}")]
    Deadline(Duration),
    /// The memory limit was reached.
    #[error("wanted more memory than it may have ({0} bytes)")]
    Memory(usize),
    /// The stack overflowed.
    #[error("overflowed its stack: unbounded recursion?")]
    Stack,
    /// The answer exceeds the maximum size.
    #[error("answered with more than {0} bytes")]
    AnswerSize(usize),
    /// The guest trapped.
    #[error("trapped: {0}")]
    Trap(String),
    /// The instance could not be created.
    #[error("could not be instantiated: {0}")]
    Instantiate(String),
    /// The answer as a whole breaks the contract.
    #[error("answered what the contract does not allow: {0}")]
    Nonsense(String),
    /// A function with a single answer returned a fault.
    #[error("declined: {0}")]
    Fault(#[from] Fault),
    /// The plugin declined every item of the conformance check's batch.
    #[error("declined every item of an ordinary batch: {0}")]
    DeclinedAll(Fault),
    /// The component does not have the role.
    #[error("has no {0} role")]
    NoRole(Role),
    /// No instance was free in time.
    #[error("waited {0:?} for an instance: all are busy")]
    Busy(Duration),
}

impl Cause {
    /// Whether the same call would end the same way again, so that only another generation can help.
    #[must_use]
    pub const fn is_deterministic(&self) -> bool {
        !matches!(self, Self::Deadline(_) | Self::Busy(_) | Self::Instantiate(_))
    }
}
