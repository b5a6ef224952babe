use std::collections::{BTreeMap, BTreeSet};

use haggle_model::{Name, Span};
use haggle_negotiate::EngineOptions;

/// How the core works.
#[derive(Clone, Debug)]
pub struct Options {
    /// Tells hosts apart in the ids of negotiations and leases.
    pub host: String,
    /// The time between two reconcile passes.
    pub interval: Span,
    /// How negotiations are run.
    pub engine: EngineOptions,
    /// The built-in plugins and their roles.
    pub built_in: BTreeMap<Name, BTreeSet<String>>,
    /// How many records of negotiations and requests are kept that nothing refers to any more.
    pub records: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            host: "host".to_owned(),
            interval: Span::from_secs(15),
            engine: EngineOptions::default(),
            built_in: BTreeMap::new(),
            records: 10_000,
        }
    }
}
