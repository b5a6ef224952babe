//! The described documents: services, dependencies, providers, scaling policies and calendar events.

use std::{collections::BTreeSet, sync::Arc};

use haggle_model::{
    CalendarEvent, Dependency, DependencyDocument, DependencyGraph, Name, Owner, Provider,
    ScalingPolicy, Service, Span,
};
use haggle_negotiate::{Snapshot, World};
use imbl::OrdMap;
use petgraph::Direction;
use serde::{Deserialize, Serialize};

use crate::{ControlError, service::ServiceState};

/// The described documents. A clone shares all of them.
#[derive(Clone, Debug)]
pub struct Catalog {
    pub(crate) services: OrdMap<Name, Arc<Service>>,
    pub(crate) providers: OrdMap<Name, Arc<Provider>>,
    pub(crate) policies: OrdMap<Name, Arc<ScalingPolicy>>,
    pub(crate) calendar: OrdMap<Name, Arc<CalendarEvent>>,
    pub(crate) graph: Arc<DependencyGraph>,
}

/// The dependency graph as JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Graph {
    /// Every service.
    pub services: Vec<Name>,
    /// Every dependency.
    pub dependencies: Vec<DependencyDocument>,
}

impl Catalog {
    /// Creates a catalog that contains only the default policy.
    pub(crate) fn new() -> Self {
        let default = Arc::new(ScalingPolicy::default());
        Self {
            services: OrdMap::new(),
            providers: OrdMap::new(),
            policies: OrdMap::unit(default.name.clone(), default),
            calendar: OrdMap::new(),
            graph: Arc::new(DependencyGraph::new()),
        }
    }

    /// All services, sorted by name.
    pub fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.services.values()
    }

    /// All providers as described, sorted by name.
    pub fn providers(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.providers.values()
    }

    /// The total number of unit kinds of all providers.
    pub(crate) fn units(&self) -> usize {
        self.providers.values().map(|provider| provider.units.len()).sum()
    }

    /// All scaling policies, sorted by name.
    pub fn policies(&self) -> impl Iterator<Item = &Arc<ScalingPolicy>> {
        self.policies.values()
    }

    /// All calendar events, sorted by name.
    pub fn calendar(&self) -> impl Iterator<Item = &Arc<CalendarEvent>> {
        self.calendar.values()
    }

    /// Finds a service by name.
    ///
    /// # Errors
    /// [`ControlError::NotFound`].
    pub fn service(&self, name: &Name) -> Result<&Arc<Service>, ControlError> {
        self.services.get(name).ok_or_else(|| ControlError::not_found("service", name))
    }

    /// Finds a provider by name, as described.
    ///
    /// # Errors
    /// [`ControlError::NotFound`].
    pub fn provider(&self, name: &Name) -> Result<&Arc<Provider>, ControlError> {
        self.providers.get(name).ok_or_else(|| ControlError::not_found("provider", name))
    }

    /// Finds a scaling policy by name.
    ///
    /// # Errors
    /// [`ControlError::NotFound`].
    pub fn policy(&self, name: &Name) -> Result<&Arc<ScalingPolicy>, ControlError> {
        self.policies.get(name).ok_or_else(|| ControlError::not_found("policy", name))
    }

    /// Finds a calendar event by name.
    ///
    /// # Errors
    /// [`ControlError::NotFound`].
    pub fn event(&self, name: &Name) -> Result<&Arc<CalendarEvent>, ControlError> {
        self.calendar.get(name).ok_or_else(|| ControlError::not_found("event", name))
    }

    /// The policy of a service; the default policy if its policy does not exist.
    #[must_use]
    pub fn policy_of(&self, service: &Service) -> Arc<ScalingPolicy> {
        self.policies.get(&service.policy).cloned().unwrap_or_default()
    }

    /// The longest history that any policy uses.
    #[must_use]
    pub fn longest_history(&self) -> Span {
        self.policies.values().map(|policy| policy.forecasting.history).max().unwrap_or(Span::ZERO)
    }

    /// The dependency graph as JSON.
    #[must_use]
    pub fn graph(&self) -> Graph {
        let document = |(from, to, dependency): (&Name, &Name, &Dependency)| DependencyDocument {
            from: from.clone(),
            to: to.clone(),
            strength: dependency.strength,
            ratios: dependency.ratios.clone(),
        };
        Graph {
            services: self.graph.services().cloned().collect(),
            dependencies: self.graph.dependencies().map(document).collect(),
        }
    }

    /// The direct dependents of a service.
    pub(crate) fn dependents_of(&self, service: &Name) -> impl Iterator<Item = &Name> {
        let graph = self.graph.as_petgraph();
        let node = self.graph.node(service).into_iter();
        let nodes = node.flat_map(|node| graph.neighbors_directed(node, Direction::Incoming));
        nodes.filter_map(|node| graph.node_weight(node))
    }

    /// The direct and indirect dependents of a service.
    pub(crate) fn all_dependents_of<'a>(&'a self, service: &'a Name) -> BTreeSet<&'a Name> {
        let (mut seen, mut queue) = (BTreeSet::new(), vec![service]);
        while let Some(next) = queue.pop() {
            queue.extend(self.dependents_of(next).filter(|dependent| seen.insert(*dependent)));
        }
        seen
    }

    /// The services, with dependents before their dependencies where there are no cycles. The load promised
    /// to a dependent is part of the need of its dependency.
    pub(crate) fn dependents_first(&self) -> Vec<Name> {
        let graph = self.graph.as_petgraph();
        let mut components = petgraph::algo::tarjan_scc(graph);
        // Tarjan's algorithm returns the components with dependencies first.
        components.reverse();
        let names = components.into_iter().flatten().filter_map(|node| graph.node_weight(node));
        names.cloned().collect()
    }
}

/// The ledger accounts of a provider's units.
pub(crate) fn accounts(provider: &Provider) -> impl Iterator<Item = Owner> {
    let name = &provider.name;
    provider
        .units
        .iter()
        .map(move |unit| Owner::Unit { provider: name.clone(), unit: unit.id.clone() })
}

/// The view of the world that a negotiation gets.
pub(crate) struct View<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) services: &'a OrdMap<Name, Arc<ServiceState>>,
    /// Providers with their current units.
    pub(crate) providers: &'a OrdMap<Name, Arc<Provider>>,
}

impl World for View<'_> {
    fn graph(&self) -> &DependencyGraph {
        &self.catalog.graph
    }

    fn snapshot(&self, service: &Name) -> Option<Snapshot> {
        let service = self.catalog.services.get(service)?;
        let state = self.services.get(&service.name)?;
        let policy = self.catalog.policy_of(service);
        Some(Snapshot {
            service: service.as_ref().clone(),
            tier: state.tier,
            // The planned load includes what was granted since the last planning.
            planned: state.planned.max(&state.claimed().unwrap_or_default()),
            target_utilization: policy.scaling.target_utilization,
            budget_per_hour: policy.ranking.budget_per_hour,
        })
    }

    fn providers(&self) -> Vec<&Provider> {
        self.providers.values().map(AsRef::as_ref).collect()
    }
}
