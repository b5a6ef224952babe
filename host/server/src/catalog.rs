use std::{collections::BTreeMap, sync::Arc};

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

    /// Whether anybody takes part in negotiations from elsewhere.
    pub(crate) fn has_endpoints(&self) -> bool {
        self.services.values().any(|service| service.endpoint.is_some())
            || self.providers.values().any(|provider| provider.endpoint.is_some())
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
