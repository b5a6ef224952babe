use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use haggle_actuate::{Driver, DryRun, Immediate};
use haggle_model::{Name, Span};
use haggle_observe::HistoryLimits;
use haggle_sandbox::Grant;
use haggle_store::StoreOptions;
use haggle_transport::{AddressPolicy, Transports};

use crate::clock::{Clock, SystemClock};

/// The options of a host.
pub struct HostOptions {
    /// The data directory. `None` keeps all state in memory.
    pub data: Option<PathBuf>,
    /// Whether the host is live: it reconciles at every interval, and slow work runs on other threads.
    /// Otherwise it is stepped with [`Host::pass`](crate::Host::pass), and does all work synchronously and in
    /// order.
    pub live: bool,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The driver that carries out decisions.
    pub driver: Arc<dyn Driver>,
    /// The transports to remote parties.
    pub transport: Transports,
    /// The addresses that an endpoint in a document may name. The transports check again when they connect,
    /// because a host name resolves only then.
    pub addresses: AddressPolicy,
    /// The time between two reconcile passes.
    pub interval: Span,
    /// The sandbox options. By default its cache is below `data`.
    pub sandbox: haggle_sandbox::Options,
    /// The store options.
    pub store: StoreOptions,
    /// The amount of history in memory. Policies may require more.
    pub history: HistoryLimits,
    /// Whether to journal every plugin call for replay.
    pub journal: bool,
    /// The directories that plugins may read.
    pub grants: BTreeMap<Name, Vec<Grant>>,
    /// Distinguishes hosts in the ids of negotiations and leases. `None` generates a random id once.
    pub id: Option<String>,
}

impl Default for HostOptions {
    /// A stepped host on the real clock with an in-memory store, whose driver does nothing.
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
