use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The limits of plugins. Limits of calls apply to one call, that is, one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Instructions, counted along the most expensive path that a loop iteration or call could take. The only
    /// limit that affects answers, because it is the same in every repetition.
    pub fuel: u64,
    /// Real time in milliseconds. It backs up the fuel limit for a guest that waits instead of computing. A
    /// call that exceeds it is an error, never a different answer. A loop that calls nothing cannot check the
    /// clock and may take several times as long.
    pub deadline_ms: u64,
    /// Linear memory in bytes, for all memories of the instance together.
    pub memory_bytes: usize,
    /// Bytes that the host copies out of the guest for one answer.
    pub answer_bytes: usize,
    /// Maximum number of log lines of a call; further lines are counted and dropped.
    pub log_lines: usize,
    /// Maximum length of a log line in bytes; longer lines are truncated.
    pub log_line_bytes: usize,
    /// Maximum size of an upload, in bytes.
    pub upload_bytes: usize,
    /// Time limit for compiling an upload, in milliseconds.
    pub compile_ms: u64,
    /// Maximum number of concurrent instances; further calls wait. A quarter of them is reserved for built-in
    /// plugins.
    pub instances: u32,
    /// Maximum time that a call waits for an instance, in milliseconds.
    pub wait_ms: u64,
}

impl Limits {
    /// The limits for a call that may take no longer than `time`, rounded to milliseconds.
    pub(crate) fn within(self, time: Duration) -> Self {
        let most = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self { deadline_ms: self.deadline_ms.min(most), wait_ms: self.wait_ms.min(most), ..self }
    }

    pub(crate) const fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }

    pub(crate) const fn compile_time(&self) -> Duration {
        Duration::from_millis(self.compile_ms)
    }

    pub(crate) const fn wait(&self) -> Duration {
        Duration::from_millis(self.wait_ms)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fuel: 50_000_000_000,
            deadline_ms: 60_000,
            memory_bytes: 256 << 20,
            answer_bytes: 32 << 20,
            log_lines: 100,
            log_line_bytes: 1024,
            upload_bytes: 64 << 20,
            compile_ms: 180_000,
            instances: 32,
            wait_ms: 60_000,
        }
    }
}
