use std::time::{Duration, Instant};

use haggle_control::EventKind;
use haggle_model::Name;
use haggle_sandbox::LogLevel;
use haggle_store::CallRecord;
use serde_json::Value;

use crate::registry::Who;

/// Receives reports on plugin activity. The decider calls it during decisions, so it must return soon.
pub trait Observer: Send + Sync {
    /// Reports an event that a person may want to know. The subject is a plugin or a service.
    fn event(&self, kind: EventKind, subject: &str, message: String, detail: Value);

    /// Reports a call of a function; `ok` says whether it had an answer.
    fn call(&self, by: &Who, function: &'static str, ok: bool);

    /// Reports the number of items of a plugin that went on to the next candidate; 1 for a call with one
    /// answer.
    fn fallback(&self, plugin: &Name, function: &'static str, items: usize);

    /// Reports a plugin's log line, also of a call that failed.
    fn log(&self, by: &Who, level: LogLevel, message: &str);
}

/// Records calls for replay.
pub trait Journal: Send + Sync {
    /// Records a call with a deterministic outcome; its `sequence` is 0. Must not wait for a disk.
    fn record(&self, call: CallRecord);
}

/// A monotonic clock.
pub trait Clock: Send + Sync {
    /// Returns the time since a fixed moment.
    fn elapsed(&self) -> Duration;
}

/// The machine's monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct MonotonicClock(Instant);

impl Default for MonotonicClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for MonotonicClock {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
