use std::sync::Arc;

use haggle_model::{Lease, Name, Provider, Service, Timestamp};
use haggle_negotiate::{Engine, Ledger};
use imbl::{OrdMap, OrdSet, Vector};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    ControlError,
    catalog::Catalog,
    id::Caller,
    purpose::Purpose,
    record::{Generation, Reclaim},
    request::Request,
    service::ServiceState,
    verdict::Progress,
};

/// All decision state, as one value. A clone shares structure with the original and is cheap.
#[derive(Clone, Debug)]
pub struct State {
    pub(crate) catalog: Catalog,
    pub(crate) services: OrdMap<Name, Arc<ServiceState>>,
    /// Providers with their current units: as described, minus the reclaimed ones.
    pub(crate) providers: OrdMap<Name, Arc<Provider>>,
    pub(crate) ledger: Ledger,
    pub(crate) engine: Engine,
    /// The purpose of each open negotiation.
    pub(crate) sessions: OrdMap<String, Arc<Purpose>>,
    /// By service: the number of open negotiations that may change something.
    pub(crate) negotiating: OrdMap<Name, u32>,
    /// Durable agreements whose parties have not all been notified.
    pub(crate) recorded: OrdSet<String>,
    /// Scaling requests that are not over.
    pub(crate) requests: OrdMap<String, Arc<Request>>,
    /// Windows of requests that still wait for their negotiation, in order.
    pub(crate) unopened: Vector<Unopened>,
    /// The number of open negotiations for windows of requests.
    pub(crate) open_windows: usize,
    /// By request: the caller that waits for the verdict.
    pub(crate) waiting: OrdMap<String, Caller>,
    /// By provider and unit: the reclaims that are announced or due, sorted by time.
    pub(crate) reclaims: OrdMap<(Name, Name), Vec<Reclaim>>,
    pub(crate) plugins: OrdMap<Name, PluginState>,
    /// The numbers of negotiations and requests that have durable records.
    pub(crate) kept: OrdSet<u64>,
    /// The last used number of a negotiation or request.
    pub(crate) number: u64,
    /// Numbers up to this one may be used without another write.
    pub(crate) reserved: u64,
    /// The sequence of the last decision in the journal.
    pub(crate) decisions: u64,
    pub(crate) now: Timestamp,
    pub(crate) report: PassReport,
}

/// A report on the latest reconcile pass.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PassReport {
    /// The time of the pass.
    pub at: Timestamp,
    /// The number of passes since the start.
    pub passes: u64,
    /// The number of services.
    pub services: usize,
    /// The number of services with a forecast.
    pub forecast: usize,
    /// The number of services that are likely to fail.
    pub at_risk: usize,
    /// The number of negotiations that the pass opened.
    pub opened: usize,
    /// The number of leases that ended.
    pub expired: usize,
}

/// The generations of a plugin.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PluginState {
    /// The active generation; `None` means the built-in one.
    pub current: Option<Arc<Generation>>,
    /// The generation that a rollback returns to. If `None`, a rollback from an uploaded generation returns
    /// to the built-in one, if there is one.
    pub previous: Option<Arc<Generation>>,
    /// Earlier generations, sorted by number. The newest ones prevent the reuse of numbers.
    pub retired: Vec<Arc<Generation>>,
}

/// A window that waits for its negotiation.
#[derive(Clone, Debug)]
pub(crate) struct Unopened {
    pub(crate) request: String,
    pub(crate) part: usize,
    /// The number of its negotiation.
    pub(crate) number: u64,
}

impl PluginState {
    /// The highest number used so far.
    #[must_use]
    pub fn highest(&self) -> u64 {
        let all = self.current.iter().chain(&self.previous).chain(&self.retired);
        all.map(|generation| generation.number).max().unwrap_or(0)
    }
}

impl State {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            catalog: Catalog::new(),
            services: OrdMap::new(),
            providers: OrdMap::new(),
            ledger: Ledger::new(),
            engine: Engine::default(),
            sessions: OrdMap::new(),
            negotiating: OrdMap::new(),
            recorded: OrdSet::new(),
            requests: OrdMap::new(),
            unopened: Vector::new(),
            open_windows: 0,
            waiting: OrdMap::new(),
            reclaims: OrdMap::new(),
            plugins: OrdMap::new(),
            kept: OrdSet::new(),
            number: 0,
            reserved: 0,
            decisions: 0,
            now,
            report: PassReport::default(),
        }
    }

    /// The described documents.
    #[must_use]
    pub const fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// A service and its state.
    ///
    /// # Errors
    /// [`ControlError::NotFound`].
    pub fn service(&self, name: &Name) -> Result<(&Arc<Service>, &ServiceState), ControlError> {
        let service = self.catalog.service(name)?;
        let state = self.services.get(name);
        let state = state.ok_or_else(|| ControlError::not_found("service", name))?;
        Ok((service, state))
    }

    /// All services and their states, sorted by name.
    pub fn services(&self) -> impl Iterator<Item = (&Arc<Service>, &ServiceState)> {
        let services = self.catalog.services.values();
        services.filter_map(|service| Some((service, self.services.get(&service.name)?.as_ref())))
    }

    /// The capacity ledger.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The leases that are held or confirmed at that time, sorted by holder.
    pub fn leases(&self, now: Timestamp) -> impl Iterator<Item = &Lease> {
        self.ledger.leases().filter(move |lease| lease.is_active(now))
    }

    /// The scaling requests with a waiting caller, and that caller.
    pub fn waiting(&self) -> impl Iterator<Item = (&str, Caller)> {
        self.waiting.iter().map(|(request, caller)| (request.as_str(), *caller))
    }

    /// The progress of a scaling request that is not over.
    #[must_use]
    pub fn request(&self, id: &str) -> Option<Progress> {
        self.requests.get(id).map(|request| request.progress())
    }

    /// The reclaims of a provider that are announced or due: by unit, sorted by time.
    pub fn reclaims<'a>(
        &'a self,
        provider: &'a Name,
    ) -> impl Iterator<Item = (&'a Name, &'a [Reclaim])> {
        let of = self.reclaims.iter().filter(move |((of, _), _)| of == provider);
        of.map(|((_, unit), reclaims)| (unit, reclaims.as_slice()))
    }

    /// The generations of all uploaded plugins, sorted by name.
    pub fn plugins(&self) -> impl Iterator<Item = (&Name, &PluginState)> {
        self.plugins.iter()
    }

    /// The generations of an uploaded plugin.
    #[must_use]
    pub fn plugin(&self, name: &Name) -> Option<&PluginState> {
        self.plugins.get(name)
    }

    /// The demand of an open negotiation.
    #[must_use]
    pub fn open_session(&self, id: &str) -> Option<&haggle_negotiate::Demand> {
        self.sessions.get(id).map(|purpose| &purpose.demand)
    }

    /// The number of open negotiations.
    #[must_use]
    pub fn open_sessions(&self) -> usize {
        self.sessions.len()
    }

    /// The endpoint of a remote party; `None` if this process answers for the party.
    #[must_use]
    pub fn endpoint(&self, party: &haggle_negotiate::Party) -> Option<&haggle_model::Endpoint> {
        use haggle_negotiate::Party;
        match party {
            Party::Service(name) => self.catalog.services.get(name)?.endpoint.as_ref(),
            Party::Provider(name) => self.catalog.providers.get(name)?.endpoint.as_ref(),
            Party::Session | Party::Ledger => None,
        }
    }

    /// The report on the latest reconcile pass.
    #[must_use]
    pub const fn report(&self) -> &PassReport {
        &self.report
    }

    /// The time of the next timer, if there is one.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        match self.can_open_window() {
            true => Some(self.now),
            false => self.engine.next_due(),
        }
    }

    /// The time of the state.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// The state of a service, for changes.
    pub(crate) fn service_mut(&mut self, name: &Name) -> Option<&mut ServiceState> {
        self.services.get_mut(name).map(Arc::make_mut)
    }

    /// Whether the service has an open negotiation that may change something.
    pub(crate) fn is_negotiating(&self, service: &Name) -> bool {
        self.negotiating.contains_key(service)
    }
}
