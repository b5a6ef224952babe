use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use haggle_model::{
    CalendarEvent, Dependency, DependencyDocument, DependencyGraph, Name, Owner, Provider,
    ScalingPolicy, Service, Span,
};

use crate::{error::HostError, views::GraphView};

/// Everything that was described to the host: the facts that change only when somebody says so.
#[derive(Clone, Debug, Default)]
pub(crate) struct Catalog {
    pub(crate) services: BTreeMap<Name, Arc<Service>>,
    pub(crate) providers: BTreeMap<Name, Arc<Provider>>,
    pub(crate) policies: BTreeMap<Name, Arc<ScalingPolicy>>,
    pub(crate) calendar: BTreeMap<Name, Arc<CalendarEvent>>,
    pub(crate) graph: DependencyGraph,
    /// Whether anybody takes part in negotiations from elsewhere, and whether a provider does.
    endpoints: Endpoints,
}

/// What every negotiation asks of the whole catalogue.
#[derive(Clone, Copy, Debug, Default)]
struct Endpoints {
    services: bool,
    providers: bool,
}

impl Catalog {
    /// With the default policy alone.
    pub(crate) fn new() -> Self {
        let default = Arc::new(ScalingPolicy::default());
        let policies = BTreeMap::from([(default.name.clone(), default)]);
        Self { policies, ..Self::default() }
    }

    pub(crate) fn service(&self, name: &Name) -> Result<&Arc<Service>, HostError> {
        self.services.get(name).ok_or_else(|| not_found("service", name))
    }

    pub(crate) fn provider(&self, name: &Name) -> Result<&Arc<Provider>, HostError> {
        self.providers.get(name).ok_or_else(|| not_found("provider", name))
    }

    pub(crate) fn policy(&self, name: &Name) -> Result<&Arc<ScalingPolicy>, HostError> {
        self.policies.get(name).ok_or_else(|| not_found("policy", name))
    }

    pub(crate) fn event(&self, name: &Name) -> Result<&Arc<CalendarEvent>, HostError> {
        self.calendar.get(name).ok_or_else(|| not_found("event", name))
    }

    /// The policy that a service follows. Policies cannot be deleted, so it is there.
    pub(crate) fn policy_of(&self, service: &Service) -> Arc<ScalingPolicy> {
        self.policies.get(&service.policy).cloned().unwrap_or_default()
    }

    /// How far back the policies look at most.
    pub(crate) fn longest_history(&self) -> Span {
        let all = self.policies.values().map(|policy| policy.forecast.history);
        all.max().unwrap_or(Span::ZERO)
    }

    /// The catalogue once it is complete: with what is asked of it too often to look at all of it.
    pub(crate) fn settled(self) -> Arc<Self> {
        let endpoints = Endpoints {
            services: self.services.values().any(|service| service.endpoint.is_some()),
            providers: self.providers.values().any(|provider| provider.endpoint.is_some()),
        };
        Arc::new(Self { endpoints, ..self })
    }

    /// Whether anybody takes part in negotiations from elsewhere.
    pub(crate) const fn has_endpoints(&self) -> bool {
        self.endpoints.services || self.endpoints.providers
    }

    /// Whether somebody outside this process may be asked when the service negotiates.
    pub(crate) fn asks_others(&self, service: &Name) -> bool {
        if !self.endpoints.services {
            return self.endpoints.providers;
        }
        let mut seen = BTreeSet::new();
        let mut next = vec![service];
        while let Some(name) = next.pop() {
            if !seen.insert(name) {
                continue;
            }
            if self.services.get(name).is_some_and(|service| service.endpoint.is_some()) {
                return true;
            }
            next.extend(self.graph.dependencies_of(name).map(|(to, _)| to));
        }
        self.endpoints.providers
    }

    /// Checks a service against itself and against the catalogue.
    pub(crate) fn check_service(&self, service: &Service) -> Result<(), HostError> {
        service.validate()?;
        if !self.policies.contains_key(&service.policy) {
            return Err(HostError::Missing {
                what: "service",
                name: service.name.to_string(),
                field: "policy",
                missing: format!("policy {}", service.policy),
            });
        }
        Ok(())
    }

    pub(crate) fn graph_view(&self) -> GraphView {
        let document = |(from, to, dependency): (&Name, &Name, &Dependency)| DependencyDocument {
            from: from.clone(),
            to: to.clone(),
            strength: dependency.strength,
            ratios: dependency.ratios.clone(),
        };
        GraphView {
            services: self.graph.services().cloned().collect(),
            dependencies: self.graph.dependencies().map(document).collect(),
        }
    }
}

/// The ledger's accounts of a provider: one a compute unit.
pub(crate) fn accounts(provider: &Provider) -> impl Iterator<Item = Owner> {
    let name = &provider.name;
    provider
        .units
        .iter()
        .map(move |unit| Owner::Unit { provider: name.clone(), unit: unit.id.clone() })
}

pub(crate) fn not_found(what: &'static str, name: impl ToString) -> HostError {
    HostError::NotFound { what, name: name.to_string() }
}
