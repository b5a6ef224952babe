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
    /// Providers with what they have now: as described, less what has been taken back.
    pub(crate) providers: OrdMap<Name, Arc<Provider>>,
    pub(crate) ledger: Ledger,
    pub(crate) engine: Engine,
    /// What each open negotiation is for.
    pub(crate) sessions: OrdMap<String, Arc<Purpose>>,
    /// How many open negotiations each service has that may change something.
    pub(crate) negotiating: OrdMap<Name, u32>,
    /// Agreements on disk whose parties have yet to be told.
    pub(crate) recorded: OrdSet<String>,
    /// Scaling requests that are not over.
    pub(crate) requests: OrdMap<String, Arc<Request>>,
    /// Windows of requests that are not negotiated yet, in the order in which they are to be.
    pub(crate) unopened: Vector<Unopened>,
    /// How many open negotiations are for windows of requests.
    pub(crate) open_windows: usize,
    /// Who waits for the verdict of a request.
    pub(crate) waiting: OrdMap<String, Caller>,
    /// What is announced of a provider's unit, and what is gone, in the order of the times.
    pub(crate) reclaims: OrdMap<(Name, Name), Vec<Reclaim>>,
    pub(crate) plugins: OrdMap<Name, PluginState>,
    /// The numbers of negotiations and requests that have records on disk.
    pub(crate) kept: OrdSet<u64>,
    /// The last number given to a negotiation or request.
    pub(crate) number: u64,
    /// Numbers up to this one may be given without writing that down first.
    pub(crate) reserved: u64,
    /// The place of the last decision in the journal.
    pub(crate) decisions: u64,
    pub(crate) now: Timestamp,
    pub(crate) report: PassReport,
}

/// What the latest reconcile pass has done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PassReport {
    /// When.
    pub at: Timestamp,
    /// How many passes there were since the start.
    pub passes: u64,
    /// How many services there are.
    pub services: usize,
    /// How many of them are forecast.
    pub forecast: usize,
    /// How many are likely to fail.
    pub at_risk: usize,
    /// How many negotiations were opened.
    pub opened: usize,
    /// How many leases ended.
    pub expired: usize,
}

/// The generations of a plugin.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PluginState {
    /// The one that decides; the built-in one if none.
    pub current: Option<Arc<Generation>>,
    /// The one to which a rollback returns. If none, a rollback from an uploaded generation returns to the
    /// built-in one, where there is one.
    pub previous: Option<Arc<Generation>>,
    /// Those that decided once, by number: the newest keep numbers from being given again.
    pub retired: Vec<Arc<Generation>>,
}

/// A window that is not negotiated yet.
#[derive(Clone, Debug)]
pub(crate) struct Unopened {
    pub(crate) request: String,
    pub(crate) part: usize,
    /// Of its negotiation.
    pub(crate) number: u64,
}

impl PluginState {
    /// The highest number that was ever given.
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

    /// What was described.
    #[must_use]
    pub const fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// A service and what is known of it.
    ///
    /// # Errors
    /// [`ControlError::NotFound`].
    pub fn service(&self, name: &Name) -> Result<(&Arc<Service>, &ServiceState), ControlError> {
        let service = self.catalog.service(name)?;
        let state = self.services.get(name);
        let state = state.ok_or_else(|| ControlError::not_found("service", name))?;
        Ok((service, state))
    }

    /// All services and what is known of them, by name.
    pub fn services(&self) -> impl Iterator<Item = (&Arc<Service>, &ServiceState)> {
        let services = self.catalog.services.values();
        services.filter_map(|service| Some((service, self.services.get(&service.name)?.as_ref())))
    }

    /// The capacity that is promised.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The leases that are held or confirmed at that time, by holder.
    pub fn leases(&self, now: Timestamp) -> impl Iterator<Item = &Lease> {
        self.ledger.leases().filter(move |lease| lease.is_active(now))
    }

    /// The scaling requests whose verdict somebody waits for, and who that is.
    pub fn waiting(&self) -> impl Iterator<Item = (&str, Caller)> {
        self.waiting.iter().map(|(request, caller)| (request.as_str(), *caller))
    }

    /// Where a scaling request stands that is not over.
    #[must_use]
    pub fn request(&self, id: &str) -> Option<Progress> {
        self.requests.get(id).map(|request| request.progress())
    }

    /// What is announced of a provider's units, and what is gone: by unit, in the order of the times.
    pub fn reclaims<'a>(
        &'a self,
        provider: &'a Name,
    ) -> impl Iterator<Item = (&'a Name, &'a [Reclaim])> {
        let of = self.reclaims.iter().filter(move |((of, _), _)| of == provider);
        of.map(|((_, unit), reclaims)| (unit, reclaims.as_slice()))
    }

    /// Which generations of uploaded plugins decide, by name.
    pub fn plugins(&self) -> impl Iterator<Item = (&Name, &PluginState)> {
        self.plugins.iter()
    }

    /// Which generations of an uploaded plugin decide.
    #[must_use]
    pub fn plugin(&self, name: &Name) -> Option<&PluginState> {
        self.plugins.get(name)
    }

    /// What an open negotiation is about.
    #[must_use]
    pub fn open_session(&self, id: &str) -> Option<&haggle_negotiate::Demand> {
        self.sessions.get(id).map(|purpose| &purpose.demand)
    }

    /// How many negotiations are open.
    #[must_use]
    pub fn open_sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Where a party is reached that answers for itself; none where this process answers for it.
    #[must_use]
    pub fn endpoint(&self, party: &haggle_negotiate::Party) -> Option<&haggle_model::Endpoint> {
        use haggle_negotiate::Party;
        match party {
            Party::Service(name) => self.catalog.services.get(name)?.endpoint.as_ref(),
            Party::Provider(name) => self.catalog.providers.get(name)?.endpoint.as_ref(),
            Party::Session | Party::Ledger => None,
        }
    }

    /// The latest reconcile pass.
    #[must_use]
    pub const fn report(&self) -> &PassReport {
        &self.report
    }

    /// When something is due, if at any time.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        match self.can_open_window() {
            true => Some(self.now),
            false => self.engine.next_due(),
        }
    }

    /// When the state was made.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// The state of a service, to be changed.
    pub(crate) fn service_mut(&mut self, name: &Name) -> Option<&mut ServiceState> {
        self.services.get_mut(name).map(Arc::make_mut)
    }

    /// Whether a negotiation of the service is open that may change something.
    pub(crate) fn is_negotiating(&self, service: &Name) -> bool {
        self.negotiating.contains_key(service)
    }
}
