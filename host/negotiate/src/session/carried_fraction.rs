//! Computes the fraction of the demand that all services can carry, and the optional dependencies that fit.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use haggle_model::{Name, Quantities, Strength};

use super::{CLOSE, Session};
use crate::{Edge, Spread, service_capacity};

impl Session {
    /// The largest fraction that all mandatory services can carry, given the granted loads. Loads are
    /// proportional to the fraction, so this is the optimum of a linear program with one variable. Optional
    /// dependencies never lower the fraction. The session keeps those that still fit, nearest to the
    /// requester first.
    pub(super) fn settle_granted(&mut self) -> f64 {
        let root = &self.demand.requester;
        let mut most: BTreeMap<&Name, Quantities> =
            self.granted.iter().map(|(name, granted)| (name, granted.clone())).collect();
        if let Some(snapshot) = self.snapshots.get(root) {
            most.insert(root, service_capacity(&snapshot.service, snapshot.target_utilization));
        }
        let limit = |spread: &Spread, name: &Name| {
            most.get(name).map_or(1.0, |most| most.share_of(&self.share(spread, name)))
        };
        let names = self.core.shares().keys();
        let fraction = names.map(|name| limit(&self.core, name)).fold(self.fraction, f64::min);
        let short: Vec<Name> = self
            .firm
            .shares()
            .keys()
            .filter(|name| limit(&self.firm, name) < self.fraction * (1.0 - CLOSE))
            .cloned()
            .collect();
        let enough = fraction * (1.0 - CLOSE);
        let fits =
            |spread: &Spread| spread.shares().keys().all(|name| limit(spread, name) >= enough);
        let firm = self.with_what_fits(&fits);
        short.iter().for_each(|name| self.say_why(name));
        self.keep(firm);
        fraction
    }

    /// The core with as many optional dependencies as fit, in order from the requester. Load only grows
    /// with dependencies, so the function tries whole groups and halves a group that does not fit.
    pub(super) fn with_what_fits(&self, fits: &dyn Fn(&Spread) -> bool) -> Arc<Spread> {
        if fits(&self.firm) {
            return Arc::clone(&self.firm);
        }
        let optional = optional(&self.firm);
        let mut kept = BTreeSet::new();
        self.try_with(&optional, &mut kept, fits);
        self.only(&kept).map_or_else(|| Arc::clone(&self.core), Arc::new)
    }

    fn try_with(&self, edges: &[Edge], kept: &mut BTreeSet<Edge>, fits: &dyn Fn(&Spread) -> bool) {
        if edges.is_empty() {
            return;
        }
        let all: BTreeSet<Edge> = kept.iter().chain(edges).cloned().collect();
        if self.only(&all).is_some_and(|spread| fits(&spread)) {
            *kept = all;
        } else if edges.len() > 1 {
            let (first, second) = edges.split_at(edges.len() / 2);
            self.try_with(first, kept, fits);
            self.try_with(second, kept, fits);
        }
    }

    /// The spread with only these optional dependencies.
    fn only(&self, kept: &BTreeSet<Edge>) -> Option<Spread> {
        let left_out = |from: &Name, to: &Name, strength| {
            strength != Strength::Mandatory
                && !kept.contains(&Edge { from: from.clone(), to: to.clone() })
        };
        self.firm.without(|from, to, d| left_out(from, to, d.strength)).ok()
    }

    /// Restricts the session to this part of the graph, and records the lost optional dependencies as
    /// dropped.
    pub(super) fn keep(&mut self, firm: Arc<Spread>) {
        if Arc::ptr_eq(&firm, &self.firm) {
            return;
        }
        let before = optional(&self.firm);
        let after: BTreeSet<Edge> = optional(&firm).into_iter().collect();
        let lost = before
            .into_iter()
            .filter(|edge| firm.shares().contains_key(&edge.from) && !after.contains(edge));
        Arc::make_mut(&mut self.dropped).extend(lost);
        self.firm = firm;
    }
}

/// The optional dependencies in breadth-first order.
fn optional(spread: &Spread) -> Vec<Edge> {
    let mut edges = Vec::new();
    let mut seen = BTreeSet::from([spread.root()]);
    let mut queue = VecDeque::from([spread.root()]);
    while let Some(from) = queue.pop_front() {
        for (to, dependency) in spread.dependencies_of(from) {
            if dependency.strength != Strength::Mandatory {
                edges.push(Edge { from: from.clone(), to: to.clone() });
            }
            if seen.insert(to) {
                queue.push_back(to);
            }
        }
    }
    edges
}
