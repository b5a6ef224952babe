use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a plugin may use. Budgets are per call, that is, per batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Instructions, counted by the dearest path that a turn of a loop or a call could take. The only budget
    /// that decides what a call answers, because it is the same in every repetition.
    pub fuel: u64,
    /// Time on the wall, in milliseconds: a net under the fuel, for a guest that waits instead of
    /// computing. A call that hits it is an error, never a different answer. A loop that calls nothing
    /// cannot look at the clock and may take some times as long.
    pub deadline_ms: u64,
    /// Linear memory in bytes, all memories of the instance together.
    pub memory_bytes: usize,
    /// What the host copies out of the guest for one answer, in bytes.
    pub answer_bytes: usize,
    /// Lines a call may log; more are counted and dropped.
    pub log_lines: usize,
    /// Bytes of one line; the rest is cut off.
    pub log_line_bytes: usize,
    /// The size of an upload in bytes.
    pub upload_bytes: usize,
    /// The time that compiling an upload may take, in milliseconds.
    pub compile_ms: u64,
    /// Instances that exist at the same time; further calls wait. A quarter of them is kept for the host's own
    /// plugins.
    pub instances: u32,
    /// How long a call waits for an instance before it gives up, in milliseconds.
    pub wait_ms: u64,
}

impl Limits {
    /// The same for a call that may take no longer than `time`, to the millisecond.
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
