//! Checks that no service reverses a decision without a cause.

use std::collections::BTreeMap;

use haggle_control::State;
use haggle_model::{Decision, LeaseState, Name, Owner, ScalingPolicy, ScalingReason, Timestamp};

use haggle_negotiate::Agreement;

use super::{Check, fail};
use crate::report::Rule;

#[derive(Debug, Default)]
pub(crate) struct Flapping {
    /// The number of inputs so far.
    step: u64,
    /// The first input of the latest pass.
    pass: u64,
    services: BTreeMap<Name, History>,
    /// The last input that was a cause for all services.
    everybody: u64,
    /// The latest outcome of each service's negotiations.
    outcomes: BTreeMap<Name, String>,
    /// The times at which windows of requests begin or end.
    edges: std::collections::BTreeSet<Timestamp>,
}

#[derive(Debug, Default)]
struct History {
    up: Option<Turn>,
    down: Option<Turn>,
    load: u64,
    /// The last input at which it, or one of its dependents, lost a lease.
    lost: u64,
    /// The number of its leased replicas at the last check.
    leased: u32,
    /// The total amount that it has promised.
    promised: f64,
}

#[derive(Clone, Debug)]
struct Turn {
    step: u64,
    /// The first input of its pass.
    pass: u64,
    at: Timestamp,
    to: u32,
    reason: ScalingReason,
}

impl Flapping {
    /// Records that the known load of a service has changed. This is a cause to scale out at any time, and
    /// to scale in after the stabilization window.
    pub(crate) fn load(&mut self, service: Name) {
        self.services.entry(service).or_default().load = self.step;
    }

    /// Records a cause for all services.
    pub(crate) fn everybody(&mut self) {
        self.everybody = self.step;
    }

    /// Records the end of a negotiation. An outcome that differs from the last one is a cause.
    pub(crate) fn ended(&mut self, record: &haggle_control::NegotiationRecord, state: &State) {
        let requester = &record.demand.requester;
        let agreed = record.verdict.agreement.as_ref().map(|agreement| {
            let Agreement { fraction, without_optional, window, .. } = agreement;
            format!("{fraction} {without_optional:?} {}", window.is_some())
        });
        let outcome = format!("{} {agreed:?}", record.outcome);
        let before = self.outcomes.insert(requester.clone(), outcome.clone());
        if before.is_none_or(|before| before != outcome) {
            let all = dependencies(vec![requester.clone()], state);
            all.into_iter().for_each(|name| self.load(name));
        }
    }

    /// Records the beginning and the end of a granted window; both are causes at their time.
    pub(crate) fn edges(&mut self, window: haggle_model::Window) {
        self.edges.extend([window.start, window.end]);
    }

    /// Records the beginning of a pass. All decisions that follow know the facts of this pass.
    pub(crate) fn pass(&mut self) {
        self.pass = self.step;
    }

    /// Forgets the last decisions, because they may be undone. Later decisions are not compared with them.
    pub(crate) fn forget(&mut self) {
        for history in self.services.values_mut() {
            (history.up, history.down) = (None, None);
        }
        self.everybody();
    }

    /// Records the next input, at a time of the host's clock.
    pub(crate) fn next(&mut self, now: Timestamp) {
        self.step += 1;
        while self.edges.first().is_some_and(|edge| *edge <= now) {
            self.edges.pop_first();
            self.everybody();
        }
    }

    /// Records the leases and promises of services. Fewer leases are a cause, and so is a changed promise,
    /// because it must be kept regardless of earlier decisions.
    pub(crate) fn leases(&mut self, state: &State) {
        let (now, step) = (state.now(), self.step);
        let mut sums: BTreeMap<&Name, (u32, f64)> = BTreeMap::new();
        let counts = |lease: &&haggle_model::Lease| {
            lease.state == LeaseState::Confirmed && lease.window.contains(now)
        };
        for lease in state.ledger().leases().filter(counts) {
            match &lease.owner {
                Owner::Unit { .. } => sums.entry(&lease.holder).or_default().0 += lease.replicas,
                Owner::Service(name) => {
                    let amount = lease.amounts.iter().map(|(_, amount)| amount).sum::<f64>();
                    sums.entry(name).or_default().1 += amount;
                }
            }
        }
        let mut losers: Vec<Name> = Vec::new();
        for (service, known) in state.services() {
            let (leased, promised) = sums.get(&service.name).copied().unwrap_or_default();
            let history = self.services.entry(service.name.clone()).or_default();
            if leased < history.leased && leased < known.replicas {
                losers.push(service.name.clone());
            }
            if (promised - history.promised).abs() > 1e-6 {
                history.load = step;
            }
            (history.leased, history.promised) = (leased, promised);
        }
        for name in dependencies(losers, state) {
            self.services.entry(name).or_default().lost = step;
        }
    }

    /// Records that replicas were removed with their leases. This is a cause for the service and its
    /// dependencies.
    pub(crate) fn lost(&mut self, service: &Name, state: &State) {
        for name in dependencies(vec![service.clone()], state) {
            self.services.entry(name).or_default().lost = self.step;
        }
    }

    /// Checks a decision.
    pub(crate) fn decided(&mut self, decision: &Decision, policy: Option<&ScalingPolicy>) -> Check {
        let everybody = self.everybody;
        let Decision { service, at, from, to, reason, .. } = decision;
        let history = self.services.entry(service.clone()).or_default();
        let turn = Turn { step: self.step, pass: self.pass, at: *at, to: *to, reason: *reason };
        let goes_up = to > from;
        let before = if goes_up { &history.down } else { &history.up };
        let found = before.as_ref().filter(|before| {
            let window = policy.map(|policy| policy.scaling.stabilization).unwrap_or_default();
            at.since(before.at) < window && before.at <= *at
        });
        let caused = |before: &Turn| {
            // Decisions for requests and for lost leases are exempt.
            let by_load = goes_up && history.load > before.pass;
            let exempt = matches!(
                (goes_up, before.reason, reason),
                (_, _, ScalingReason::LeaseEnded | ScalingReason::Request)
                    | (_, ScalingReason::Request | ScalingReason::LeaseEnded, _)
            );
            by_load || exempt || history.lost > before.pass || everybody > before.step
        };
        if let Some(before) = found.filter(|before| !caused(before)) {
            let (to_before, at_before) = (before.to, before.at);
            let text = format!("{decision:?}, after it went to {to_before} at {at_before}");
            return fail(Rule::Flapping, text);
        }
        if goes_up {
            history.up = Some(turn);
        } else {
            history.down = Some(turn);
        }
        Ok(())
    }
}

/// These services and all their direct and indirect dependencies.
pub(crate) fn dependencies(of: Vec<Name>, state: &State) -> Vec<Name> {
    let mut all = of;
    if all.is_empty() {
        return all;
    }
    let graph = state.catalog().graph();
    let mut place = 0;
    while let Some(name) = all.get(place).cloned() {
        for dependency in graph.dependencies.iter().filter(|d| d.from == name) {
            if !all.contains(&dependency.to) {
                all.push(dependency.to.clone());
            }
        }
        place += 1;
    }
    all
}
