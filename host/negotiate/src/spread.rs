use std::collections::{BTreeMap, BTreeSet, VecDeque};

use haggle_model::{Dependency, DependencyGraph, GraphError, Name, Quantities, Resource, Strength};
use petgraph::{algo::kosaraju_scc, graph::NodeIndex, visit::EdgeRef};
use serde::{Deserialize, Serialize};

use crate::cycle::Cycle;

/// A dependency between two services, by name.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
pub struct Edge {
    /// The dependent.
    pub from: Name,
    /// The dependency.
    pub to: Name,
}

/// The load on every service that a load on one service, the root, causes over the dependency graph. Loads
/// are proportional: a fraction of the load causes the same fraction everywhere.
///
/// The load on the root is its whole load: what is measured, forecast or requested of a service includes the
/// calls that come back to it over a cycle. Dependencies on the root are therefore left out; following them
/// would count these calls twice.
#[derive(Clone, Debug)]
pub struct Spread {
    root: Name,
    load: Quantities,
    /// The reached part of the graph.
    graph: DependencyGraph,
    shares: BTreeMap<Name, Share>,
    waves: Vec<Vec<Name>>,
}

/// The load of one service.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// The load that it carries because of the load on the root, as an absolute level.
    pub load: Quantities,
    /// The strength of its strongest path from the root. A path is as strong as its weakest edge.
    pub strength: Strength,
}

/// The reasons for which a load cannot be spread.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SpreadError {
    /// The root is not in the graph.
    #[error("there is no service {0} in the dependency graph: add it first")]
    UnknownService(Name),
    /// Services call each other in a cycle that multiplies the load.
    #[error(
        "the {resource} of {cycle} grows without end: {gain:.3} units come back for each one that goes around; lower a ratio until that is below 1"
    )]
    Divergent {
        /// `a -> b -> a`.
        cycle: String,
        /// The resource that grows.
        resource: Resource,
        /// The units that return per unit that enters, over all paths of the cycle.
        gain: f64,
    },
    /// A load exceeds the range of an amount.
    #[error(
        "the load on {service} would be {amount:e} {resource}: check the ratios on the way to it"
    )]
    TooLarge {
        /// The service.
        service: Name,
        /// The resource.
        resource: Resource,
        /// The resulting amount.
        amount: f64,
    },
    /// The graph is inconsistent.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

impl Spread {
    /// Propagates `load` on `root` down the graph. For each resource separately, a dependency carries its
    /// ratio per unit of the dependent's load, summed over all dependents. Takes time linear in the reached
    /// part, except for cycles.
    ///
    /// # Errors
    /// [`SpreadError`].
    pub fn new(
        graph: &DependencyGraph,
        root: &Name,
        load: &Quantities,
    ) -> Result<Self, SpreadError> {
        Self::over(graph, root, load, |_, _, _| true)
    }

    /// The same spread without some dependencies, and without the services that only they reach.
    ///
    /// # Errors
    /// Only errors that the whole spread would also have.
    pub fn without(
        &self,
        left_out: impl Fn(&Name, &Name, &Dependency) -> bool,
    ) -> Result<Self, SpreadError> {
        Self::over(&self.graph, &self.root, &self.load, |from, to, dependency| {
            !left_out(from, to, dependency)
        })
    }

    /// The service on which the load begins.
    #[must_use]
    pub const fn root(&self) -> &Name {
        &self.root
    }

    /// Every reached service by name, including the root.
    #[must_use]
    pub const fn shares(&self) -> &BTreeMap<Name, Share> {
        &self.shares
    }

    /// The reached services, leaves first. Each dependency of a service is in an earlier wave, except that
    /// the members of a cycle share one.
    #[must_use]
    pub fn waves(&self) -> &[Vec<Name>] {
        &self.waves
    }

    /// The dependencies of a reached service, sorted by name.
    pub fn dependencies_of(&self, name: &Name) -> impl Iterator<Item = (&Name, &Dependency)> {
        self.graph.dependencies_of(name)
    }

    fn over(
        graph: &DependencyGraph,
        root: &Name,
        load: &Quantities,
        keep: impl Fn(&Name, &Name, &Dependency) -> bool,
    ) -> Result<Self, SpreadError> {
        if !graph.contains(root) {
            return Err(SpreadError::UnknownService(root.clone()));
        }
        let reached = reached(graph, root, |from, to, d| to != root && keep(from, to, d))?;
        let components = kosaraju_scc(reached.as_petgraph());
        let mut loads: BTreeMap<Name, Quantities> =
            reached.services().map(|name| (name.clone(), Quantities::new())).collect();
        for (resource, amount) in load.iter() {
            for (node, amount) in flow(&reached, &components, root, resource, amount)? {
                let Some(name) = reached.as_petgraph().node_weight(node) else { continue };
                let Some(load) = loads.get_mut(name) else { continue };
                load.set(resource, amount).map_err(|_| SpreadError::TooLarge {
                    service: name.clone(),
                    resource,
                    amount,
                })?;
            }
        }
        let strengths = strengths(&reached, root);
        let shares = loads
            .into_iter()
            .map(|(name, load)| {
                let strength = strengths.get(&name).copied().unwrap_or_default();
                (name, Share { load, strength })
            })
            .collect();
        let waves = waves(&reached, &components);
        Ok(Self { root: root.clone(), load: load.clone(), graph: reached, shares, waves })
    }
}

/// Checks that the cycles of the graph allow any load to be spread: for each cycle, less load returns than
/// enters. Takes time linear in the part without cycles.
///
/// # Errors
/// [`SpreadError::Divergent`] with the first violating cycle.
fn cycle_gain(graph: &DependencyGraph) -> Result<(), SpreadError> {
    let inner = graph.as_petgraph();
    let inflow = vec![1.0; inner.node_count()];
    for component in kosaraju_scc(inner).iter().filter(|component| component.len() > 1) {
        for resource in Resource::ALL {
            circulate(graph, component, resource, &inflow)?;
        }
    }
    Ok(())
}

/// Checks the cycles that a service reaches, including those that lead back to it: for each, less load returns
/// than enters.
///
/// # Errors
/// [`SpreadError::Divergent`] with the first violating cycle.
pub fn cycle_gain_from(graph: &DependencyGraph, service: &Name) -> Result<(), SpreadError> {
    cycle_gain(&reached(graph, service, |_, _, _| true)?)
}

impl std::fmt::Display for Edge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} -> {}", self.from, self.to)
    }
}

/// The part of the graph that the root reaches over the kept edges.
fn reached(
    graph: &DependencyGraph,
    root: &Name,
    keep: impl Fn(&Name, &Name, &Dependency) -> bool,
) -> Result<DependencyGraph, GraphError> {
    let mut part = DependencyGraph::new();
    part.add_service(root);
    let mut queue = VecDeque::from([root]);
    while let Some(from) = queue.pop_front() {
        for (to, dependency) in graph.dependencies_of(from) {
            if keep(from, to, dependency) {
                if !part.contains(to) {
                    part.add_service(to);
                    queue.push_back(to);
                }
                part.add(from, to, dependency.clone())?;
            }
        }
    }
    Ok(part)
}

/// The load of every node in one resource. `components` are the strongly connected components, leaves
/// first.
fn flow(
    graph: &DependencyGraph,
    components: &[Vec<NodeIndex>],
    root: &Name,
    resource: Resource,
    amount: f64,
) -> Result<Vec<(NodeIndex, f64)>, SpreadError> {
    let inner = graph.as_petgraph();
    let mut load = vec![0.0; inner.node_count()];
    let add = |load: &mut [f64], node: NodeIndex, amount: f64| {
        if let Some(here) = load.get_mut(node.index()) {
            *here += amount;
        }
    };
    if let Some(node) = graph.node(root) {
        add(&mut load, node, amount);
    }
    for component in components.iter().rev() {
        if component.len() > 1 {
            let solved = circulate(graph, component, resource, &load)?;
            for (node, amount) in component.iter().zip(solved) {
                let before = load.get(node.index()).copied().unwrap_or(0.0);
                add(&mut load, *node, amount - before);
            }
        }
        let members: BTreeSet<NodeIndex> = component.iter().copied().collect();
        for node in component {
            let own = load.get(node.index()).copied().unwrap_or(0.0);
            for edge in inner.edges(*node).filter(|edge| !members.contains(&edge.target())) {
                add(&mut load, edge.target(), own * edge.weight().ratios.get(resource));
            }
        }
    }
    Ok(inner.node_indices().zip(load).collect())
}

/// The loads of one cycle, in the order of its nodes, for a given inflow.
fn circulate(
    graph: &DependencyGraph,
    component: &[NodeIndex],
    resource: Resource,
    inflow: &[f64],
) -> Result<Vec<f64>, SpreadError> {
    let inner = graph.as_petgraph();
    let places: BTreeMap<NodeIndex, usize> =
        component.iter().enumerate().map(|(place, node)| (*node, place)).collect();
    let mut cycle = Cycle::new(component.len());
    for (node, from) in &places {
        for edge in inner.edges(*node) {
            if let Some(to) = places.get(&edge.target()) {
                cycle.connect(*from, *to, edge.weight().ratios.get(resource));
            }
        }
    }
    let inflow: Vec<f64> =
        component.iter().map(|node| inflow.get(node.index()).copied().unwrap_or(0.0)).collect();
    cycle.solve(&inflow).map_err(|diverges| {
        let names: Vec<&str> = diverges
            .circle
            .iter()
            .filter_map(|place| inner.node_weight(*component.get(*place)?))
            .map(Name::as_str)
            .collect();
        SpreadError::Divergent { cycle: names.join(" -> "), resource, gain: diverges.gain }
    })
}

/// The strength of every service: first the services that mandatory edges alone reach, then those that
/// optional edges add, then the rest.
fn strengths(graph: &DependencyGraph, root: &Name) -> BTreeMap<Name, Strength> {
    let mut strengths = BTreeMap::from([(root.clone(), Strength::Mandatory)]);
    for strength in [Strength::Mandatory, Strength::Optional, Strength::BestEffort] {
        let mut queue: VecDeque<Name> = strengths.keys().cloned().collect();
        while let Some(from) = queue.pop_front() {
            for (to, dependency) in graph.dependencies_of(&from) {
                if dependency.strength >= strength && !strengths.contains_key(to) {
                    strengths.insert(to.clone(), strength);
                    queue.push_back(to.clone());
                }
            }
        }
    }
    strengths
}

/// Places each component one wave after the latest wave of its dependencies.
fn waves(graph: &DependencyGraph, components: &[Vec<NodeIndex>]) -> Vec<Vec<Name>> {
    let inner = graph.as_petgraph();
    let mut wave_of: Vec<Option<usize>> = vec![None; inner.node_count()];
    let mut waves: Vec<Vec<Name>> = Vec::new();
    for component in components {
        let wave = component
            .iter()
            .flat_map(|node| inner.edges(*node))
            .filter_map(|edge| wave_of.get(edge.target().index()).copied().flatten())
            .max()
            .map_or(0, |latest| latest + 1);
        for node in component {
            if let Some(here) = wave_of.get_mut(node.index()) {
                *here = Some(wave);
            }
        }
        if waves.len() <= wave {
            waves.resize_with(wave + 1, Vec::new);
        }
        if let Some(names) = waves.get_mut(wave) {
            names.extend(component.iter().filter_map(|node| inner.node_weight(*node)).cloned());
        }
    }
    waves.iter_mut().for_each(|names| names.sort());
    waves
}

#[cfg(test)]
mod tests;
