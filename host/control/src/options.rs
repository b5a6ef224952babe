use std::collections::{BTreeMap, BTreeSet};

use haggle_model::{Name, Span};
use haggle_negotiate::EngineOptions;

/// Options of the core.
#[derive(Clone, Debug)]
pub struct Options {
    /// The host id, which makes the ids of negotiations and leases unique across hosts.
    pub host: String,
    /// The interval between two reconcile passes.
    pub interval: Span,
    /// The options of the negotiation engine.
    pub engine: EngineOptions,
    /// The built-in plugins and their roles.
    pub built_in: BTreeMap<Name, BTreeSet<String>>,
    /// The number of unreferenced records of negotiations and requests to keep.
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
