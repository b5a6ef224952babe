use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{configuration::ConfigurationError, log_line::LogLine, role::Role, text, types::Fault};

/// Why an upload was not taken. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// More bytes than an upload may have.
    #[error(
        "{actual} bytes are more than an upload may have ({limit}): strip debug information, or raise limits.upload_bytes"
    )]
    TooLarge {
        /// What came.
        actual: usize,
        /// What may come.
        limit: usize,
    },
    /// What is wrong with the bytes.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Imports that nobody granted.
    #[error(
        "the component imports {0}, which a plugin may not have: a plugin gets `haggle:plugin/log` and a virtual WASI 0.2 without network"
    )]
    Import(String),
    /// Types that differ from the contract.
    #[error(
        "role {role} does not match the contract: {cause}. Build it against the wit/ folder of this version"
    )]
    Mismatch {
        /// Which role.
        role: Role,
        /// What differs.
        cause: String,
    },
    /// Compiling took too long.
    #[error(
        "compiling took longer than {limit:?} and was stopped: make the component smaller, or raise limits.compile_ms"
    )]
    CompileTime {
        /// What it may take.
        limit: Duration,
    },
    /// The process that checks and compiles the upload died of it, or was ended by somebody.
    #[error(
        "the process that checks and compiles the upload died ({status}){said}: it overflowed its stack or ran out of memory, or was killed. Make the component smaller, or upload it again"
    )]
    WorkerDied {
        /// How it ended, as in `signal: 6 (SIGABRT)`.
        status: String,
        /// The end of what it said, after `: `, or nothing.
        said: String,
    },
    /// The configuration is no JSON document, or not one that the plugin's schema allows.
    #[error("the configuration does not fit: {0}")]
    Configuration(#[from] ConfigurationError),
    /// The plugin describes itself in a way that the contract does not allow.
    #[error("the plugin's description {0}")]
    Description(String),
    /// It compiled, but does not behave.
    #[error("the conformance check failed: {0}")]
    Conformance(#[from] CallError),
    /// A granted directory cannot be opened.
    #[error("the granted directory {path} cannot be opened: {cause}")]
    Grant {
        /// Which.
        path: String,
        /// Why.
        cause: String,
    },
    /// The host's own trouble: disk, processes.
    #[error("the host cannot load plugins: {0}")]
    Host(String),
}

/// What is wrong with the bytes of an upload, found without running any of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Not WebAssembly at all.
    #[error(
        "this is not WebAssembly: {0}. Upload the .wasm file that your toolchain built; precompiled code is not accepted"
    )]
    NotWasm(String),
    /// WebAssembly that does not validate.
    #[error(
        "the bytes do not validate: {0}. The file is damaged or needs a WebAssembly feature that is off; build it again"
    )]
    Invalid(String),
    /// A core module without component type information, or with wrong one.
    #[error(
        "this is a core module that cannot be made a component: {0}. Build it with the SDK, or encode it with `wasm-tools component new`"
    )]
    NotEncodable(String),
    /// No role at all.
    #[error("the component exports none of the roles {roles}; it exports: {found}", roles = Role::list())]
    NoRole {
        /// What it exports instead.
        found: String,
    },
    /// A role without `metadata`, or of a version that this host does not know.
    #[error(
        "the component exports {export}, and this host knows {known}: build it against the wit/ folder of this version"
    )]
    Version {
        /// What it exports.
        export: String,
        /// What would fit.
        known: String,
    },
    /// It does not say who it is.
    #[error(
        "the component does not export haggle:plugin/metadata@0.2.0: every plugin says who it is"
    )]
    NoMetadata,
    /// Components or types within one another.
    #[error(
        "the bytes nest components or types more than {most} deep: compose fewer components, or flatten the types"
    )]
    TooDeep {
        /// How deep they may nest.
        most: usize,
    },
    /// More imports or exports than a plugin has.
    #[error(
        "the component has {actual} {what}, and a plugin may have {most}: remove those that it does not need"
    )]
    TooMany {
        /// Imports or exports.
        what: String,
        /// How many it has.
        actual: usize,
        /// How many it may have.
        most: usize,
    },
    /// It declares more memories, tables or instances than a call may have.
    #[error(
        "the component needs more than a call may use: {0}. Declare smaller memories and tables"
    )]
    TooDemanding(String),
    /// Compiling failed.
    #[error("compiling failed: {0}")]
    Compile(String),
}

/// Why a call gave no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("plugin {plugin} generation {generation}, {function}: {cause}{diagnostics}")]
pub struct CallError {
    /// The plugin's name.
    pub plugin: String,
    /// Its generation.
    pub generation: u64,
    /// The function that was called, as in `forecasting.forecast`.
    pub function: &'static str,
    /// What happened.
    pub cause: Cause,
    /// What the guest left behind.
    pub diagnostics: Box<Diagnostics>,
}

/// What a guest leaves behind that gives no answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics {
    /// What it logged before.
    pub log: Vec<LogLine>,
    /// How many lines more there were.
    pub log_dropped: usize,
    /// The end of what it wrote to standard output and standard error, at most 4 KiB; its only control
    /// characters are line breaks.
    pub output: String,
    /// The functions that were running, the innermost first, at most 20: by name, or as `function 7` where
    /// the component does not name them.
    pub backtrace: Vec<String>,
}

/// How much of the output and the last line of the log an error quotes, in bytes.
const QUOTED: usize = 1 << 10;

/// Continues a sentence: where the guest was and what it said last.
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
            // What matters stands at the end of a stack trace.
            let end = output.ceil_char_boundary(output.len().saturating_sub(QUOTED));
            write!(f, "; it wrote: {}", output.get(end..).unwrap_or_default())?;
        }
        if !self.backtrace.is_empty() {
            write!(f, "; at {}", self.backtrace.join(" < "))?;
        }
        Ok(())
    }
}

/// What happened to a call.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// It computed too long.
    #[error("used up its fuel ({0}): an endless loop, or a batch too large for limits.fuel")]
    Fuel(u64),
    /// It waited too long.
    #[error("did not answer within {0:?}")]
    Deadline(Duration),
    /// It wanted too much memory.
    #[error("wanted more memory than it may have ({0} bytes)")]
    Memory(usize),
    /// It called itself too deeply.
    #[error("overflowed its stack: unbounded recursion?")]
    Stack,
    /// Its answer is too large.
    #[error("answered with more than {0} bytes")]
    AnswerSize(usize),
    /// It trapped.
    #[error("trapped: {0}")]
    Trap(String),
    /// No instance could be made.
    #[error("could not be instantiated: {0}")]
    Instantiate(String),
    /// The answer breaks the contract as a whole.
    #[error("answered what the contract does not allow: {0}")]
    Nonsense(String),
    /// It answered a fault where the whole call has one answer.
    #[error("declined: {0}")]
    Fault(#[from] Fault),
    /// It answered a fault for every item of the batch with which it was tried out.
    #[error("declined every item of an ordinary batch: {0}")]
    DeclinedAll(Fault),
    /// It has no such role.
    #[error("has no {0} role")]
    NoRole(Role),
    /// All instances are taken.
    #[error("waited {0:?} for an instance: all are busy")]
    Busy(Duration),
}

impl Cause {
    /// Whether the same call would end the same way again, so that trying another generation, not the
    /// same one once more, is what helps.
    #[must_use]
    pub const fn is_deterministic(&self) -> bool {
        !matches!(self, Self::Deadline(_) | Self::Busy(_) | Self::Instantiate(_))
    }
}
