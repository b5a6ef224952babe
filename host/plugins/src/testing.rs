//! Helpers for the tests of several modules.

use std::{
    path::Path,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use haggle_builtin::BUILTIN;
use haggle_control::{EventKind, Generation as Record};
use haggle_model::{Name, Timestamp};
use haggle_sandbox::{Load, LogLevel, Options, Sandbox};
use haggle_store::CallRecord;
use serde_json::{Value, json};

use crate::{Clock, Component, Decider, Journal, Loaded, Observer, Registry, Uploads, Who};

/// The test plugin behaves until 29 August 2025; this is later.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_757_000_040_000);

pub(crate) const MISBEHAVING: &[u8] = include_bytes!("../../../plugins/dist/misbehaving.wasm");

pub(crate) fn name(name: &str) -> Name {
    Name::new(name).unwrap()
}

/// One sandbox for all tests, which compiles each component once.
pub(crate) fn sandbox() -> Arc<Sandbox> {
    static SANDBOX: OnceLock<Arc<Sandbox>> = OnceLock::new();
    let open = || {
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tmp");
        let cache = Some(target.join("plugins"));
        Arc::new(Sandbox::new(Options { cache, ..Options::default() }).unwrap())
    };
    Arc::clone(SANDBOX.get_or_init(open))
}

/// A built-in plugin for forecasting and one for negotiation.
pub(crate) fn built_in() -> Vec<Loaded> {
    let names = ["seasonal-smoothing", "price-performance"];
    let load = |plugin: &str| {
        let builtin = BUILTIN.iter().find(|builtin| builtin.name == plugin).unwrap();
        let load = Load {
            plugin,
            generation: 1,
            bytes: builtin.bytes,
            configuration: builtin.configuration,
            grants: &[],
        };
        Loaded::new(name(plugin), Arc::new(sandbox().load(load).unwrap()))
    };
    names.map(load).into()
}

/// Records all reports on plugin activity.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) events: Mutex<Vec<(EventKind, String, String)>>,
    pub(crate) calls: Mutex<Vec<(String, bool)>>,
    pub(crate) fallbacks: Mutex<usize>,
    pub(crate) log: Mutex<Vec<String>>,
    pub(crate) journal: Mutex<Vec<CallRecord>>,
}

impl Observer for Seen {
    fn event(&self, kind: EventKind, subject: &str, message: String, _: Value) {
        self.events.lock().unwrap().push((kind, subject.to_owned(), message));
    }

    fn call(&self, by: &Who, _: &'static str, ok: bool) {
        self.calls.lock().unwrap().push((by.plugin.to_string(), ok));
    }

    fn fallback(&self, _: &Name, _: &'static str, items: usize) {
        *self.fallbacks.lock().unwrap() += items;
    }

    fn log(&self, _: &Who, _: LogLevel, message: &str) {
        self.log.lock().unwrap().push(message.to_owned());
    }
}

impl Journal for Seen {
    fn record(&self, call: CallRecord) {
        self.journal.lock().unwrap().push(call);
    }
}

/// A clock for tests.
#[derive(Debug, Default)]
pub(crate) struct ManualClock(pub(crate) Mutex<Duration>);

impl ManualClock {
    pub(crate) fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for ManualClock {
    fn elapsed(&self) -> Duration {
        *self.0.lock().unwrap()
    }
}

pub(crate) struct World {
    pub(crate) seen: Arc<Seen>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) decider: Decider,
    pub(crate) uploads: Uploads,
}

impl World {
    pub(crate) fn new() -> Self {
        let registry = Arc::new(Registry::new(built_in()));
        let (seen, clock) = (Arc::<Seen>::default(), Arc::<ManualClock>::default());
        let journal: Arc<dyn Journal> = Arc::clone(&seen) as _;
        let decider = Decider::new(
            Arc::clone(&registry),
            Arc::clone(&seen) as _,
            Some(journal),
            Arc::clone(&clock) as _,
        );
        Self { seen, clock, decider, uploads: Uploads::new(sandbox(), registry) }
    }

    /// Loads a plugin that misbehaves as `deed` says once it is in use, and makes it active.
    pub(crate) fn misbehaving(
        &self,
        plugin: &str,
        deed: &str,
        previous: Option<&Record>,
    ) -> Record {
        let plugin = name(plugin);
        let configuration = json!({ "later": deed });
        let component = Component { bytes: MISBEHAVING, configuration, grants: &[] };
        let (_, record) = self.uploads.load(&plugin, None, component, NOW).unwrap();
        self.decider.promote(&plugin, Some(&record), previous).unwrap();
        record
    }

    /// Number of calls of a plugin.
    pub(crate) fn calls(&self, plugin: &str) -> usize {
        self.seen.calls.lock().unwrap().iter().filter(|(by, _)| by == plugin).count()
    }

    pub(crate) fn events(&self, kind: EventKind) -> Vec<String> {
        let events = self.seen.events.lock().unwrap();
        let of_kind = events.iter().filter(|(of, ..)| *of == kind);
        of_kind.map(|(_, subject, message)| format!("{subject}: {message}")).collect()
    }
}
