//! Changes of documents. The core validates each change and then applies it as a whole.

use std::sync::Arc;

use haggle_model::{
    Bound, CalendarEvent, Dependency, DependencyDocument, LeaseId, Name, Owner, Provider,
    ScalingPolicy, ScalingReason, Service,
};
use haggle_negotiate::{SpreadError, cycle_gain_from, service_capacity};
use imbl::OrdMap;
use serde_json::json;

use crate::{
    ControlError, Effect, EventKind,
    catalog::accounts,
    effect::Put,
    input::Change,
    order::Order,
    record::{Key, Record},
    service::ServiceState,
    step::Step,
};

/// The maximum number of calendar events; forecasters receive each.
const MOST_EVENTS: usize = 1000;

/// The maximum number of services; a reconcile pass visits each.
const MOST_SERVICES: usize = 20_000;

/// The maximum number of providers; a negotiation asks each.
const MOST_PROVIDERS: usize = 2000;

/// The maximum number of unit kinds of all providers together; a negotiation visits each.
const MOST_UNITS: usize = 20_000;

/// The maximum number of scaling policies.
const MOST_POLICIES: usize = 20_000;

/// The roles of plugins; each is named like its interface in the contract.
pub(crate) const FORECASTING: &str = "forecasting";
pub(crate) const FAILURE_PREDICTION: &str = "failure-prediction";
pub(crate) const ANSWERING: &str = "answering";
pub(crate) const SELLING: &str = "selling";
pub(crate) const RANKING: &str = "ranking";
pub(crate) const TIERING: &str = "tiering";

impl Step<'_> {
    pub(crate) fn change(&mut self, change: Change) -> Result<Put, ControlError> {
        match change {
            Change::PutService(service) => self.put_service(service),
            Change::DeleteService(name) => self.delete_service(&name),
            Change::PutDependency(from, to, dependency) => {
                self.put_dependency(&from, &to, dependency)
            }
            Change::DeleteDependency(from, to) => self.delete_dependency(&from, &to),
            Change::PutProvider(provider) => self.put_provider(provider),
            Change::DeleteProvider(name) => self.delete_provider(&name),
            Change::PutPolicy(policy) => self.put_policy(policy),
            Change::PutEvent(event) => self.put_event(event),
            Change::DeleteEvent(name) => self.delete_event(&name),
        }
    }

    fn put_service(&mut self, service: Service) -> Result<Put, ControlError> {
        service.validate()?;
        let name = service.name.clone();
        if !self.state.catalog.policies.contains_key(&service.policy) {
            let missing = format!("policy {}", service.policy);
            let (what, name) = ("service", name.to_string());
            return Err(ControlError::Missing { what, name, field: "policy", missing });
        }
        if self.state.catalog.services.get(&name).is_some_and(|old| **old == service) {
            return Ok(Put::Updated);
        }
        has_room(&self.state.catalog.services, &name, "services", MOST_SERVICES)?;
        let service = Arc::new(service);
        let old = self.state.catalog.services.insert(name.clone(), Arc::clone(&service));
        if !self.state.catalog.graph.contains(&name) {
            Arc::make_mut(&mut self.state.catalog.graph).add_service(&name);
        }
        self.put(Record::Service(Arc::clone(&service)));
        let tier = service.tier;
        if old.as_ref().is_some_and(|old| old.tier != tier)
            && let Some(state) = self.state.service_mut(&name)
        {
            (state.tier, state.tier_since) = (tier, self.now);
        }
        self.track(&service);
        // Its current state may differ from the initial state of a service with this description.
        self.keep(&name);
        Ok(self.shown("service", &name, old.is_some()))
    }

    /// Brings the ledger and the driver up to date with the description of a service.
    pub(crate) fn track(&mut self, service: &Arc<Service>) {
        let name = &service.name;
        let policy = self.state.catalog.policy_of(service);
        let capacity = service_capacity(service, policy.scaling.target_utilization);
        self.state.ledger.set_capacity(&Owner::Service(name.clone()), &capacity);
        let new = || Arc::new(ServiceState::new(service, self.now));
        let state = self.state.services.get(name).cloned().unwrap_or_else(new);
        let (from, load) = (state.replicas, state.planned.clone());
        self.state.services.insert(name.clone(), state);
        let to = from.clamp(service.replicas.min, service.replicas.max);
        if to != from {
            self.order(
                name,
                Order {
                    to,
                    wanted: to,
                    reason: ScalingReason::Request,
                    lasting: false,
                    load,
                    bound: Some(Bound::Replicas),
                    negotiation: None,
                    explanation: "its description allows no other number".to_owned(),
                },
            );
        }
        self.actuate(name);
    }

    fn delete_service(&mut self, name: &Name) -> Result<Put, ControlError> {
        self.state.catalog.service(name)?;
        Arc::make_mut(&mut self.state.catalog.graph).remove_service(name)?;
        let requests = self.state.requests.values().filter(|request| request.service == *name);
        let requests: Vec<String> = requests.map(|request| request.id.clone()).collect();
        for id in requests {
            self.cancel(&id)?;
        }
        let open = self.state.sessions.iter();
        let open = open.filter(|(_, purpose)| purpose.demand.requester == *name);
        let open: Vec<String> = open.map(|(id, _)| id.clone()).collect();
        for id in open {
            let why = "the service was deleted".to_owned();
            let effects = self.with_engine(|engine, setting| engine.cancel(&id, why, setting))?;
            self.carry_out(effects);
        }
        let held: Vec<LeaseId> =
            self.state.ledger.leases_of(name).map(|lease| lease.id.clone()).collect();
        let released = self.state.ledger.release(&held);
        self.keep_leases(&released);
        self.state.ledger.remove_owner(&Owner::Service(name.clone()));
        self.state.catalog.services.remove(name);
        self.state.services.remove(name);
        self.delete(Key::Service(name.clone()));
        self.drop_kept(name);
        self.effects.push(Effect::Forget(name.clone()));
        Ok(self.shown("service", name, true))
    }

    fn put_dependency(
        &mut self,
        from: &Name,
        to: &Name,
        dependency: Dependency,
    ) -> Result<Put, ControlError> {
        let graph = Arc::make_mut(&mut self.state.catalog.graph);
        let old = graph.put(from, to, dependency.clone())?;
        if old.as_ref() == Some(&dependency) {
            return Ok(Put::Updated);
        }
        // Every cycle that the dependency may close leads through this service.
        if let Err(cause @ SpreadError::Divergent { .. }) = cycle_gain_from(graph, from) {
            let (from, to) = (from.clone(), to.clone());
            return Err(ControlError::Cycle { from, to, cause });
        }
        let Dependency { strength, ratios } = dependency;
        let (a, b) = (from.clone(), to.clone());
        self.put(Record::Dependency(DependencyDocument { from: a, to: b, strength, ratios }));
        Ok(self.shown("dependency", &format!("{from} -> {to}"), old.is_some()))
    }

    fn delete_dependency(&mut self, from: &Name, to: &Name) -> Result<Put, ControlError> {
        Arc::make_mut(&mut self.state.catalog.graph).remove(from, to)?;
        self.delete(Key::Dependency(from.clone(), to.clone()));
        Ok(self.shown("dependency", &format!("{from} -> {to}"), true))
    }

    /// Adds or replaces a provider. A unit whose description is unchanged keeps its announced reclaims. A
    /// unit with a new description starts without any.
    fn put_provider(&mut self, provider: Provider) -> Result<Put, ControlError> {
        provider.validate()?;
        let name = provider.name.clone();
        self.check_plugin("provider", &name, "selling", &provider.selling, SELLING)?;
        let old = self.state.catalog.providers.get(&name).cloned();
        if old.as_ref().is_some_and(|old| **old == provider) {
            return Ok(Put::Updated);
        }
        has_room(&self.state.catalog.providers, &name, "providers", MOST_PROVIDERS)?;
        let before = old.as_ref().map_or(0, |old| old.units.len());
        let units = self.state.catalog.units() - before + provider.units.len();
        // A provider that already exceeds the limit may still shrink.
        if units > MOST_UNITS && provider.units.len() > before {
            return Err(ControlError::TooManyUnits { units, most: MOST_UNITS });
        }
        let provider = Arc::new(provider);
        for unit in old.iter().flat_map(|old| &old.units) {
            let same = provider.unit(unit.id.as_str());
            if same.is_none_or(|new| new.count != unit.count || new.resources != unit.resources) {
                let key = (name.clone(), unit.id.clone());
                if self.state.reclaims.remove(&key).is_some() {
                    self.delete(Key::Reclaim(key.0, key.1));
                }
            }
            if same.is_none() {
                let owner = Owner::Unit { provider: name.clone(), unit: unit.id.clone() };
                self.state.ledger.remove_owner(&owner);
            }
        }
        self.state.catalog.providers.insert(name.clone(), Arc::clone(&provider));
        self.put(Record::Provider(Arc::clone(&provider)));
        self.show_provider(&provider);
        self.retry_reservations();
        for unit in &provider.units {
            let excess = self.set_unit(&name, unit);
            if excess.is_empty() {
                continue;
            }
            // The holders get the notice period of the unit.
            let owner = Owner::Unit { provider: name.clone(), unit: unit.id.clone() };
            let at = self.now + unit.interruption_notice;
            let leases = self.cut(&owner, &[(at, unit.total())]);
            let over = excess.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            let message = format!("{over}: {} lease(s) end at {at}", leases.len());
            let detail = json!({ "unit": unit.id, "at": at });
            self.publish(EventKind::Alert, name.as_str(), message, detail);
        }
        Ok(self.shown("provider", &name, old.is_some()))
    }

    /// Deletes a provider. Leases of its units run until they end.
    fn delete_provider(&mut self, name: &Name) -> Result<Put, ControlError> {
        let provider = Arc::clone(self.state.catalog.provider(name)?);
        self.state.catalog.providers.remove(name);
        self.state.providers.remove(name);
        for owner in accounts(&provider) {
            self.state.ledger.remove_owner(&owner);
        }
        let keys = self.state.reclaims.keys().filter(|(of, _)| of == name).cloned();
        for key in keys.collect::<Vec<_>>() {
            self.state.reclaims.remove(&key);
            self.delete(Key::Reclaim(key.0, key.1));
        }
        self.delete(Key::Provider(name.clone()));
        Ok(self.shown("provider", name, true))
    }

    fn put_policy(&mut self, policy: ScalingPolicy) -> Result<Put, ControlError> {
        policy.validate()?;
        let name = policy.name.clone();
        for (field, plugin, role) in [
            ("forecasting.plugin", &policy.forecasting.plugin, FORECASTING),
            ("failure_prediction.plugin", &policy.failure_prediction.plugin, FAILURE_PREDICTION),
            ("answering.plugin", &policy.answering.plugin, ANSWERING),
            ("ranking.plugin", &policy.ranking.plugin, RANKING),
            ("tiering.plugin", &policy.tiering.plugin, TIERING),
        ] {
            self.check_plugin("policy", &name, field, plugin, role)?;
        }
        has_room(&self.state.catalog.policies, &name, "scaling policies", MOST_POLICIES)?;
        let policy = Arc::new(policy);
        let old = self.state.catalog.policies.insert(name.clone(), Arc::clone(&policy));
        if old.as_ref() == Some(&policy) {
            return Ok(Put::Updated);
        }
        self.put(Record::Policy(policy));
        let services = self.state.catalog.services.values();
        let concerned: Vec<_> = services.filter(|s| s.policy == name).cloned().collect();
        for service in &concerned {
            self.track(service);
        }
        Ok(self.shown("policy", &name, old.is_some()))
    }

    fn put_event(&mut self, event: CalendarEvent) -> Result<Put, ControlError> {
        event.validate()?;
        let calendar = &self.state.catalog.calendar;
        let services = &self.state.catalog.services;
        if let Some(unknown) = event.services.iter().find(|name| !services.contains_key(*name)) {
            let (what, name) = ("event", event.name.to_string());
            let missing = format!("service {unknown}");
            return Err(ControlError::Missing { what, name, field: "services", missing });
        }
        if calendar.len() >= MOST_EVENTS && !calendar.contains_key(&event.name) {
            return Err(ControlError::CalendarFull(MOST_EVENTS));
        }
        let (name, event) = (event.name.clone(), Arc::new(event));
        let old = self.state.catalog.calendar.insert(name.clone(), Arc::clone(&event));
        if old.as_ref() == Some(&event) {
            return Ok(Put::Updated);
        }
        self.put(Record::Event(event));
        Ok(self.shown("event", &name, old.is_some()))
    }

    fn delete_event(&mut self, name: &Name) -> Result<Put, ControlError> {
        self.state.catalog.event(name)?;
        self.state.catalog.calendar.remove(name);
        self.delete(Key::Event(name.clone()));
        Ok(self.shown("event", name, true))
    }

    /// Deletes the events that ended before the start of every history.
    pub(crate) fn sweep_calendar(&mut self) {
        let oldest = self.now.before(self.state.catalog.longest_history());
        let over = self.state.catalog.calendar.values().filter(|event| event.end() <= oldest);
        let over: Vec<Name> = over.map(|event| event.name.clone()).collect();
        for name in over {
            self.state.catalog.calendar.remove(&name);
            self.delete(Key::Event(name));
        }
    }

    /// Checks that the plugin has the role for which a document names it.
    fn check_plugin(
        &self,
        what: &'static str,
        name: &Name,
        field: &'static str,
        plugin: &Name,
        role: &str,
    ) -> Result<(), ControlError> {
        let missing = match self.roles_of(plugin) {
            Some(roles) if roles.contains(role) => return Ok(()),
            Some(_) => format!("plugin {plugin} with the role {role}"),
            None => format!("plugin {plugin}"),
        };
        Err(ControlError::Missing { what, name: name.to_string(), field, missing })
    }

    fn shown(&mut self, what: &str, name: &(impl ToString + ?Sized), was_there: bool) -> Put {
        let name = name.to_string();
        let message = format!("{what} {name} changed");
        self.publish(EventKind::Catalog, &name, message, json!({ "what": what }));
        if was_there { Put::Updated } else { Put::Created }
    }
}

/// Checks that a document may be added, or exists already.
fn has_room<T>(
    all: &OrdMap<Name, Arc<T>>,
    name: &Name,
    what: &'static str,
    most: usize,
) -> Result<(), ControlError> {
    if all.len() >= most && !all.contains_key(name) {
        return Err(ControlError::Full { what, most });
    }
    Ok(())
}
