//! What is described to the host: services, dependencies, providers and policies. Each change is checked,
//! written, and only then seen.

use std::sync::{Arc, PoisonError};

use haggle_model::{Dependency, Name, Owner, Provider, ScalingPolicy, Service};
use haggle_sandbox::Role;
use haggle_store::{Batch, Dependencies, Leases, Policies, Providers, Services};

use crate::{
    documents::catalog::{Catalog, accounts},
    error::HostError,
    events::EventKind,
    host::Host,
    persistence::Standings,
    views::{GraphView, Put, ServiceView},
};

pub(crate) mod calendar;
pub(crate) mod catalog;

impl Host {
    /// Adds a service or changes its description.
    ///
    /// # Errors
    /// [`HostError`] saying which field is wrong; nothing has changed then.
    pub fn put_service(&self, service: Service) -> Result<Put, HostError> {
        let _changing = self.changing();
        let mut catalog = self.catalog().as_ref().clone();
        catalog.check_service(&service)?;
        let mut batch = Batch::new();
        batch.put::<Services>(&service.name, &service)?;
        self.persistence.commit(batch)?;
        let service = Arc::new(service);
        let old = catalog.services.insert(service.name.clone(), Arc::clone(&service));
        catalog.graph.add_service(&service.name);
        self.track(&catalog, &service)?;
        self.show(catalog, "service", &service.name, old.is_some())
    }

    /// A service and where it stands.
    ///
    /// # Errors
    /// [`HostError::NotFound`].
    pub fn service(&self, name: &Name) -> Result<ServiceView, HostError> {
        let catalog = self.catalog();
        let service = catalog.service(name)?;
        Ok(self.service_view(service))
    }

    /// All services by name.
    #[must_use]
    pub fn services(&self) -> Vec<ServiceView> {
        self.catalog().services.values().map(|service| self.service_view(service)).collect()
    }

    /// Deletes a service that nothing depends on any more.
    ///
    /// # Errors
    /// [`HostError::NotFound`], or [`HostError::Graph`] while it has dependencies.
    pub fn delete_service(&self, name: &Name) -> Result<(), HostError> {
        let _changing = self.changing();
        let mut catalog = self.catalog().as_ref().clone();
        catalog.service(name)?;
        catalog.graph.remove_service(name)?;
        catalog.services.remove(name);
        let mut batch = Batch::new();
        batch.delete::<Services>(name)?.delete::<Standings>(name)?;
        self.forget_models(name, &mut batch)?;
        let mut ledger = self.ledger();
        let held: Vec<_> = ledger.leases_of(name).map(|lease| lease.id.clone()).collect();
        for id in &held {
            batch.delete::<Leases>(id)?;
        }
        self.persistence.commit(batch)?;
        ledger.release(&held);
        ledger.remove_owner(&Owner::Service(name.clone()));
        drop(ledger);
        self.states().remove(name);
        self.actuator().forget(name);
        self.history().forget(name);
        self.show(catalog, "service", name, true).map(drop)
    }

    /// Adds a dependency or changes it.
    ///
    /// # Errors
    /// [`HostError::Graph`].
    pub fn put_dependency(
        &self,
        from: &Name,
        to: &Name,
        dependency: Dependency,
    ) -> Result<Put, HostError> {
        let _changing = self.changing();
        let mut catalog = self.catalog().as_ref().clone();
        let old = catalog.graph.put(from, to, dependency.clone())?;
        let mut batch = Batch::new();
        batch.put::<Dependencies>(&(from.clone(), to.clone()), &dependency)?;
        self.persistence.commit(batch)?;
        self.show(catalog, "dependency", &format!("{from} -> {to}"), old.is_some())
    }

    /// Deletes a dependency.
    ///
    /// # Errors
    /// [`HostError::Graph`] where there is none.
    pub fn delete_dependency(&self, from: &Name, to: &Name) -> Result<(), HostError> {
        let _changing = self.changing();
        let mut catalog = self.catalog().as_ref().clone();
        catalog.graph.remove(from, to)?;
        let mut batch = Batch::new();
        batch.delete::<Dependencies>(&(from.clone(), to.clone()))?;
        self.persistence.commit(batch)?;
        self.show(catalog, "dependency", &format!("{from} -> {to}"), true).map(drop)
    }

    /// The dependency graph.
    #[must_use]
    pub fn graph(&self) -> GraphView {
        self.catalog().graph_view()
    }

    /// Adds a provider or changes what it has.
    ///
    /// # Errors
    /// [`HostError::Provider`] saying which unit and field is wrong.
    pub fn put_provider(&self, provider: Provider) -> Result<Put, HostError> {
        provider.validate()?;
        let changing = self.changing();
        let bidder = provider.bidding.as_ref().map(|plugin| (plugin, Role::Bidding));
        self.check_plugin("provider", &provider.name, "bidding", bidder)?;
        let mut catalog = self.catalog().as_ref().clone();
        let mut batch = Batch::new();
        batch.put::<Providers>(&provider.name, &provider)?;
        self.forget_reclaims(&provider.name, &mut batch)?;
        self.persistence.commit(batch)?;
        let provider = Arc::new(provider);
        let old = catalog.providers.insert(provider.name.clone(), Arc::clone(&provider));
        let mut ledger = self.ledger();
        for gone in old.iter().flat_map(|old| accounts(old)) {
            ledger.remove_owner(&gone);
        }
        let excess = self.open_accounts(&mut ledger, &provider);
        drop(ledger);
        let put = self.show(catalog, "provider", &provider.name, old.is_some())?;
        if !excess.is_empty() {
            self.end_excess(&provider, &excess)?;
            drop(changing);
            self.serve_lost();
        }
        Ok(put)
    }

    /// A provider.
    ///
    /// # Errors
    /// [`HostError::NotFound`].
    pub fn provider(&self, name: &Name) -> Result<Provider, HostError> {
        self.catalog().provider(name).map(|provider| provider.as_ref().clone())
    }

    /// All providers by name.
    #[must_use]
    pub fn providers(&self) -> Vec<Provider> {
        self.catalog().providers.values().map(|provider| provider.as_ref().clone()).collect()
    }

    /// Deletes a provider. Leases of its units run on until they end.
    ///
    /// # Errors
    /// [`HostError::NotFound`].
    pub fn delete_provider(&self, name: &Name) -> Result<(), HostError> {
        let _changing = self.changing();
        let mut catalog = self.catalog().as_ref().clone();
        let provider = Arc::clone(catalog.provider(name)?);
        catalog.providers.remove(name);
        let mut batch = Batch::new();
        batch.delete::<Providers>(name)?;
        self.forget_reclaims(name, &mut batch)?;
        self.persistence.commit(batch)?;
        let mut ledger = self.ledger();
        for owner in accounts(&provider) {
            ledger.remove_owner(&owner);
        }
        drop(ledger);
        self.show(catalog, "provider", name, true).map(drop)
    }

    /// Adds a scaling policy or changes it.
    ///
    /// # Errors
    /// [`HostError::Policy`] saying which field is wrong, [`HostError::Missing`] for a plugin that is not
    /// loaded.
    pub fn put_policy(&self, policy: ScalingPolicy) -> Result<Put, HostError> {
        policy.validate()?;
        let _changing = self.changing();
        for (field, plugin, role) in [
            ("forecast.plugin", &policy.forecast.plugin, Role::Forecasting),
            ("failure.plugin", &policy.failure.plugin, Role::FailurePrediction),
            ("bidding.plugin", &policy.bidding.plugin, Role::Bidding),
            ("tiering.plugin", &policy.tiering.plugin, Role::Tiering),
        ] {
            self.check_plugin("policy", &policy.name, field, Some((plugin, role)))?;
        }
        let mut catalog = self.catalog().as_ref().clone();
        let mut batch = Batch::new();
        batch.put::<Policies>(&policy.name, &policy)?;
        self.persistence.commit(batch)?;
        let name = policy.name.clone();
        let old = catalog.policies.insert(name.clone(), Arc::new(policy));
        self.reach_back(&catalog);
        for service in catalog.services.values().filter(|service| service.policy == name) {
            self.track(&catalog, service)?;
        }
        self.show(catalog, "policy", &name, old.is_some())
    }

    /// A scaling policy.
    ///
    /// # Errors
    /// [`HostError::NotFound`].
    pub fn policy(&self, name: &Name) -> Result<ScalingPolicy, HostError> {
        self.catalog().policy(name).map(|policy| policy.as_ref().clone())
    }

    /// All scaling policies by name.
    #[must_use]
    pub fn policies(&self) -> Vec<ScalingPolicy> {
        self.catalog().policies.values().map(|policy| policy.as_ref().clone()).collect()
    }

    fn check_plugin(
        &self,
        what: &'static str,
        name: &Name,
        field: &'static str,
        plugin: Option<(&Name, Role)>,
    ) -> Result<(), HostError> {
        let Some((plugin, role)) = plugin else { return Ok(()) };
        let missing = |missing| HostError::Missing { what, name: name.to_string(), field, missing };
        match self.decider.registry.current(plugin.as_str()) {
            Some(generation) if generation.roles().contains(&role) => Ok(()),
            Some(_) => Err(missing(format!("plugin {plugin} with the role {role}"))),
            None => Err(missing(format!("plugin {plugin}"))),
        }
    }

    pub(crate) fn show(
        &self,
        catalog: Catalog,
        what: &str,
        name: &(impl ToString + ?Sized),
        was_there: bool,
    ) -> Result<Put, HostError> {
        *self.catalog.write().unwrap_or_else(PoisonError::into_inner) = catalog.settled();
        let name = name.to_string();
        let message = format!("{what} {name} changed");
        self.emit(EventKind::Catalog, &name, message, serde_json::json!({ "what": what }));
        Ok(if was_there { Put::Updated } else { Put::Created })
    }
}
