use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use haggle_actuate::{Driver, DryRun, Immediate};
use haggle_model::{Name, Span};
use haggle_observe::HistoryLimits;
use haggle_sandbox::Grant;
use haggle_store::StoreOptions;
use haggle_transport::{AddressPolicy, Transports};

use crate::clock::{Clock, SystemClock};

/// How a host is set up.
pub struct HostOptions {
    /// Where everything is kept that must outlive the process; in memory if none.
    pub data: Option<PathBuf>,
    /// Whether the host lives by itself: it reconciles at every interval, and what takes time runs beside it.
    /// Otherwise it is stepped, with [`Host::pass`](crate::Host::pass), and does everything at once and in order.
    pub live: bool,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Carries out what was decided.
    pub driver: Arc<dyn Driver>,
    /// How parties elsewhere are reached.
    pub transport: Transports,
    /// Which addresses an endpoint in a document may name. The transports check again what they connect to, since
    /// a name says only then where it leads.
    pub addresses: AddressPolicy,
    /// The time between two reconcile passes.
    pub interval: Span,
    /// The sandbox; its cache lies under `data` unless it says otherwise.
    pub sandbox: haggle_sandbox::Options,
    /// The store.
    pub store: StoreOptions,
    /// How much history is kept in memory; more where a policy asks for more.
    pub history: HistoryLimits,
    /// Whether every call of a plugin is journalled, so that it can be replayed.
    pub journal: bool,
    /// The directories that plugins may read.
    pub grants: BTreeMap<Name, Vec<Grant>>,
    /// Tells hosts apart in the ids of negotiations and leases; chosen at random once where none is given.
    pub id: Option<String>,
}

impl Default for HostOptions {
    /// On the real clock, stepped, without a memory that outlives it, acting on nothing.
    fn default() -> Self {
        Self {
            data: None,
            live: false,
            clock: Arc::new(SystemClock),
            driver: Arc::new(Immediate::new(DryRun::new())),
            transport: Transports::new(),
            addresses: AddressPolicy::default(),
            interval: Span::from_secs(15),
            sandbox: haggle_sandbox::Options::default(),
            store: StoreOptions::default(),
            history: HistoryLimits::default(),
            journal: true,
            grants: BTreeMap::new(),
            id: None,
        }
    }
}
