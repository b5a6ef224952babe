use std::time::{Duration, Instant};

use haggle_control::EventKind;
use haggle_model::Name;
use haggle_sandbox::LogLevel;
use haggle_store::CallRecord;
use serde_json::Value;

use crate::registry::Who;

/// Who is told what plugins do. It is called beside decisions and must return soon.
pub trait Observer: Send + Sync {
    /// Something happened that a person may want to know. The subject is a plugin or a service.
    fn event(&self, kind: EventKind, subject: &str, message: String, detail: Value);

    /// A function was called, with or without an answer.
    fn call(&self, by: &Who, function: &'static str, ok: bool);

    /// So many items that a plugin was to decide went on to the next candidate; 1 for a call that has one
    /// answer.
    fn fallback(&self, plugin: &Name, function: &'static str, items: usize);

    /// A plugin logged a line, be it in a call that failed.
    fn log(&self, by: &Who, level: LogLevel, message: &str);
}

/// Where calls are kept to be repeated.
pub trait Journal: Send + Sync {
    /// Takes in a call with a deterministic outcome; its `sequence` is 0. It must not wait for a disk.
    fn record(&self, call: CallRecord);
}

/// A clock that never goes back.
pub trait Clock: Send + Sync {
    /// The time since some moment that stays the same.
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
