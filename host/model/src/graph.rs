use std::collections::BTreeMap;

use petgraph::{
    Direction,
    graph::{DiGraph, NodeIndex},
    visit::EdgeRef,
};
use serde::{Deserialize, Serialize};

use crate::{Name, Quantities};

/// The degree to which a service needs its dependency.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// The dependency is informed, and the session does not wait for it.
    #[serde(alias = "best-effort")]
    BestEffort,
    /// Without it, the agreement is degraded.
    Optional,
    /// Without it, the plan fails or shrinks.
    #[default]
    Mandatory,
}

/// The load that one service passes to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Dependency {
    /// The strength of the dependency.
    #[serde(default)]
    pub strength: Strength,
    /// By resource: the units that the dependency carries per unit of the dependent's load.
    /// `requests_per_second: 1.5` means three calls for every two requests.
    pub ratios: Quantities,
}

/// The services and their dependencies. Cycles are allowed.
#[derive(Clone, Debug, Default)]
pub struct DependencyGraph {
    graph: DiGraph<Name, Dependency>,
    nodes: BTreeMap<Name, NodeIndex>,
}

/// The reasons for which a change of the graph is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// A dependency names a service that does not exist.
    #[error("there is no service {0}: add it before a dependency on or of it")]
    UnknownService(Name),
    /// The dependency exists already.
    #[error(
        "the dependency of {from} on {to} is there already: change it instead of adding it again"
    )]
    Duplicate {
        /// The dependent.
        from: Name,
        /// The dependency.
        to: Name,
    },
    /// A service would depend on itself.
    #[error("service {0} cannot depend on itself: count such calls into what one replica serves")]
    Itself(Name),
    /// The service still has dependencies or dependents.
    #[error("service {name} still has dependencies ({others}): delete those first")]
    InUse {
        /// The service.
        name: Name,
        /// The dependencies as `from -> to`, comma-separated.
        others: String,
    },
    /// The dependency does not exist.
    #[error("{from} does not depend on {to}")]
    NotFound {
        /// The dependent.
        from: Name,
        /// The dependency.
        to: Name,
    },
    /// The dependency has no ratio above 0.
    #[error(
        "the dependency of {from} on {to} has no ratio above 0: say how much it asks for, e.g. requests_per_second: 1"
    )]
    NoRatio {
        /// The dependent.
        from: Name,
        /// The dependency.
        to: Name,
    },
}

impl DependencyGraph {
    /// Creates an empty graph.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a service; does nothing if it exists.
    pub fn add_service(&mut self, name: &Name) {
        if !self.nodes.contains_key(name) {
            let node = self.graph.add_node(name.clone());
            self.nodes.insert(name.clone(), node);
        }
    }

    /// Removes a service without dependencies and dependents; does nothing if it does not exist.
    ///
    /// # Errors
    /// [`GraphError::InUse`].
    pub fn remove_service(&mut self, name: &Name) -> Result<(), GraphError> {
        let Some(node) = self.nodes.get(name).copied() else { return Ok(()) };
        let others: Vec<String> = self
            .dependencies()
            .filter(|(from, to, _)| *from == name || *to == name)
            .map(|(from, to, _)| format!("{from} -> {to}"))
            .collect();
        if !others.is_empty() {
            return Err(GraphError::InUse { name: name.clone(), others: others.join(", ") });
        }
        self.graph.remove_node(node);
        self.nodes.remove(name);
        // petgraph moves the last node into the gap.
        if let Some(moved) = self.graph.node_weight(node) {
            self.nodes.insert(moved.clone(), node);
        }
        Ok(())
    }

    /// Adds a dependency.
    ///
    /// # Errors
    /// [`GraphError`] for unknown services, a duplicate, a dependency on itself, or a missing ratio; the
    /// graph is then unchanged.
    pub fn add(
        &mut self,
        from: &Name,
        to: &Name,
        dependency: Dependency,
    ) -> Result<(), GraphError> {
        let (a, b) = self.ends(from, to, &dependency)?;
        if self.graph.contains_edge(a, b) {
            return Err(GraphError::Duplicate { from: from.clone(), to: to.clone() });
        }
        self.graph.add_edge(a, b, dependency);
        Ok(())
    }

    /// Adds or replaces a dependency. Returns the old one, if there was one.
    ///
    /// # Errors
    /// As [`DependencyGraph::add`], except for the duplicate.
    pub fn put(
        &mut self,
        from: &Name,
        to: &Name,
        dependency: Dependency,
    ) -> Result<Option<Dependency>, GraphError> {
        let (a, b) = self.ends(from, to, &dependency)?;
        match self.graph.find_edge(a, b).and_then(|edge| self.graph.edge_weight_mut(edge)) {
            Some(weight) => Ok(Some(std::mem::replace(weight, dependency))),
            None => {
                self.graph.add_edge(a, b, dependency);
                Ok(None)
            }
        }
    }

    /// Removes a dependency.
    ///
    /// # Errors
    /// [`GraphError::NotFound`].
    pub fn remove(&mut self, from: &Name, to: &Name) -> Result<(), GraphError> {
        let edge = self.nodes.get(from).zip(self.nodes.get(to));
        edge.and_then(|(a, b)| self.graph.find_edge(*a, *b))
            .and_then(|edge| self.graph.remove_edge(edge))
            .map(|_| ())
            .ok_or_else(|| GraphError::NotFound { from: from.clone(), to: to.clone() })
    }

    /// Whether the service is in the graph.
    #[must_use]
    pub fn contains(&self, name: &Name) -> bool {
        self.nodes.contains_key(name)
    }

    /// All services, sorted by name.
    pub fn services(&self) -> impl Iterator<Item = &Name> {
        self.nodes.keys()
    }

    /// All dependencies as (dependent, dependency, ratios and strength), sorted by name.
    pub fn dependencies(&self) -> impl Iterator<Item = (&Name, &Name, &Dependency)> {
        self.nodes
            .keys()
            .flat_map(|name| self.dependencies_of(name).map(move |(to, d)| (name, to, d)))
    }

    /// The dependencies of a service, sorted by name.
    pub fn dependencies_of(&self, name: &Name) -> impl Iterator<Item = (&Name, &Dependency)> {
        let mut found: Vec<_> = self
            .nodes
            .get(name)
            .into_iter()
            .flat_map(|node| self.graph.edges_directed(*node, Direction::Outgoing))
            .filter_map(|edge| Some((self.graph.node_weight(edge.target())?, edge.weight())))
            .collect();
        found.sort_by_key(|(to, _)| *to);
        found.into_iter()
    }

    /// The underlying graph, for algorithms. Nodes are services, edges run from dependent to dependency.
    #[must_use]
    pub fn as_petgraph(&self) -> &DiGraph<Name, Dependency> {
        &self.graph
    }

    /// The node of a service.
    #[must_use]
    pub fn node(&self, name: &Name) -> Option<NodeIndex> {
        self.nodes.get(name).copied()
    }

    fn ends(
        &self,
        from: &Name,
        to: &Name,
        dependency: &Dependency,
    ) -> Result<(NodeIndex, NodeIndex), GraphError> {
        let find =
            |name: &Name| self.node(name).ok_or_else(|| GraphError::UnknownService(name.clone()));
        let ends = (find(from)?, find(to)?);
        if from == to {
            return Err(GraphError::Itself(from.clone()));
        }
        if dependency.ratios.is_zero() {
            return Err(GraphError::NoRatio { from: from.clone(), to: to.clone() });
        }
        Ok(ends)
    }
}

#[cfg(test)]
mod tests {
    use super::{Dependency, DependencyGraph, GraphError, Strength};
    use crate::{Name, Quantities, Resource};

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn calls(ratio: f64) -> Dependency {
        let ratios = Quantities::of(Resource::RequestsPerSecond, ratio).unwrap();
        Dependency { strength: Strength::Mandatory, ratios }
    }

    fn graph(services: &[&str]) -> DependencyGraph {
        let mut graph = DependencyGraph::new();
        for service in services {
            graph.add_service(&name(service));
        }
        graph
    }

    #[test]
    fn refuses_what_makes_no_sense_and_stays_as_it_was() {
        let mut shop = graph(&["web", "cart"]);
        let (web, cart) = (name("web"), name("cart"));
        shop.add(&web, &cart, calls(1.0)).unwrap();
        assert!(matches!(shop.add(&web, &cart, calls(1.0)), Err(GraphError::Duplicate { .. })));
        assert!(matches!(
            shop.add(&web, &name("nope"), calls(1.0)),
            Err(GraphError::UnknownService(_))
        ));
        assert!(matches!(shop.add(&web, &web, calls(1.0)), Err(GraphError::Itself(_))));
        assert!(matches!(shop.add(&cart, &web, calls(0.0)), Err(GraphError::NoRatio { .. })));
        assert!(matches!(shop.remove_service(&cart), Err(GraphError::InUse { .. })));
        assert_eq!(shop.dependencies().count(), 1);
        let negative = r#"{"ratios": {"requests_per_second": -1}}"#;
        assert!(serde_json::from_str::<Dependency>(negative).is_err());
    }

    #[test]
    fn keeps_its_names_when_a_node_moves_into_a_gap() {
        let mut shop = graph(&["a", "b", "c"]);
        shop.add(&name("b"), &name("c"), calls(2.0)).unwrap();
        shop.remove_service(&name("a")).unwrap();
        assert!(!shop.contains(&name("a")));
        let (to, dependency) = shop.dependencies_of(&name("b")).next().unwrap();
        assert_eq!((to, dependency), (&name("c"), &calls(2.0)));
        shop.remove(&name("b"), &name("c")).unwrap();
        assert!(matches!(shop.remove(&name("b"), &name("c")), Err(GraphError::NotFound { .. })));
    }
}
