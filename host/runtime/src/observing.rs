//! Reports, counts and journals plugin activity.

use std::sync::{Arc, Mutex};

use haggle_control::{Event, EventKind};
use haggle_model::Name;
use haggle_plugins::{Journal, Observer, Who};
use haggle_sandbox::LogLevel;
use haggle_store::{Batch, CallRecord, Store};
use serde_json::{Value, json};

use crate::{clock::Clock, events::Events, lock::lock, metrics::Metrics};

/// Emits events about plugins and counts their calls.
pub(crate) struct Watch {
    pub(crate) events: Arc<Events>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Observer for Watch {
    fn event(&self, kind: EventKind, subject: &str, message: String, detail: Value) {
        let (at, subject) = (self.clock.now(), subject.to_owned());
        self.events.emit(Event { at, kind, subject, message, detail });
    }

    fn call(&self, by: &Who, function: &'static str, ok: bool) {
        self.metrics.plugin_call(by.plugin.as_str(), function, ok);
    }

    fn fallback(&self, plugin: &Name, _function: &'static str, _items: usize) {
        self.metrics.fallback(plugin.as_str());
    }

    fn log(&self, by: &Who, level: LogLevel, message: &str) {
        let level = match level {
            LogLevel::Debug => "debug",
            LogLevel::Info => "info",
            LogLevel::Warn => "warn",
            LogLevel::Error => "error",
        };
        let detail = json!({ "level": level, "generation": by.generation });
        self.event(EventKind::Log, by.plugin.as_str(), message.to_owned(), detail);
    }
}

/// Stores plugin calls in batches. A crash can lose the record of how a decision was made, never the
/// decision.
pub(crate) struct Calls {
    store: Arc<Store>,
    waiting: Mutex<Vec<CallRecord>>,
}

/// Maximum number of calls in one batch.
const TOGETHER: usize = 256;

impl Calls {
    pub(crate) const fn new(store: Arc<Store>) -> Self {
        Self { store, waiting: Mutex::new(Vec::new()) }
    }

    /// Writes the pending calls without waiting for the disk.
    pub(crate) fn flush(&self) {
        let calls = std::mem::take(&mut *lock(&self.waiting));
        if calls.is_empty() {
            return;
        }
        let mut batch = Batch::new();
        for call in &calls {
            if let Err(error) = batch.call(call, &[]) {
                tracing::warn!(function = call.function, %error, "a call is not journalled");
            }
        }
        if let Err(error) = self.store.commit_lazy(batch) {
            tracing::warn!(%error, "calls are not journalled");
        }
    }
}

impl Journal for Calls {
    fn record(&self, call: CallRecord) {
        let mut waiting = lock(&self.waiting);
        waiting.push(call);
        let full = waiting.len() >= TOGETHER;
        drop(waiting);
        if full {
            self.flush();
        }
    }
}
