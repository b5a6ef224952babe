//! Checks that no service has more replicas than leases, except for its minimum and for a limited time in
//! which it negotiates for replacements.

use std::collections::BTreeMap;

use haggle_control::{NegotiationRecord, State};
use haggle_model::{Decision, Lease, LeaseState, Name, Owner, Span, Timestamp};

use super::{Check, fail};
use crate::{report::Rule, world::INTERVAL};

/// The maximum time that a service may negotiate for lost replicas. It exceeds every deadline.
const PATIENCE: Span = Span::from_secs(120);

/// By service: the time since which it has more replicas than leases.
#[derive(Debug, Default)]
pub(crate) struct Leased {
    short: BTreeMap<Name, Timestamp>,
    /// The leases of each service at the last step.
    before: BTreeMap<Name, Vec<Lease>>,
}

/// The maximum number of replicas that the leases of a service allow; `None` if it needs no leases.
fn most(service: &Name, state: &State) -> Option<u32> {
    let (service, _) = state.service(service).ok()?;
    state.catalog().providers().next()?;
    if service.replica.requests.is_zero() {
        return None;
    }
    let now = state.now();
    let places = state.ledger().leases_of(&service.name).filter(|lease| {
        lease.state == LeaseState::Confirmed
            && lease.window.contains(now)
            && matches!(lease.owner, Owner::Unit { .. })
    });
    let leased = places.map(|lease| lease.replicas).fold(0, u32::saturating_add);
    Some(leased.max(service.replicas.min))
}

/// Checks a decision to scale out against the state at the end of its step.
pub(crate) fn raised(decision: &Decision, state: &State) -> Check {
    let Decision { service, from, to, .. } = decision;
    match most(service, state) {
        Some(most) if to > from && *to > most => {
            let text = format!("{service} goes from {from} to {to}, and may have {most}");
            fail(Rule::Leased, text)
        }
        _ => Ok(()),
    }
}

impl Leased {
    /// Checks that an agreement leaves no service fewer leased replicas than before, except a requester
    /// that requested fewer.
    pub(crate) fn agreed(&self, record: &NegotiationRecord, state: &State) -> Check {
        let now = state.now();
        let Some(agreement) = &record.verdict.agreement else { return Ok(()) };
        let begun = record.demand.window.start <= now && agreement.window.is_none();
        for name in agreement.services.keys().filter(|_| begun) {
            let own = *name == agreement.requester;
            let (Some(left), Ok((service, known))) = (most(name, state), state.service(name))
            else {
                continue;
            };
            let before = self.before.get(name).into_iter().flatten();
            // Preempted leases do not count, nor do leases for replicas of another size or on removed
            // units.
            let stays = |lease: &&Lease| {
                let size = service.replica.requests.scaled(f64::from(lease.replicas));
                let preempted = agreement.preempted.contains(&lease.id);
                let is_there = state.ledger().capacity(&lease.owner).is_some();
                lease.window.end > now && is_there && !preempted && lease.amounts.covers(&size)
            };
            let had = before.filter(stays).map(|lease| lease.replicas);
            let had = had.fold(0, u32::saturating_add).min(known.replicas);
            if left < had && (agreement.reduced || !own) {
                let text = format!("{} leaves {name} {left} of {had} replicas", record.id);
                return fail(Rule::Leased, text);
            }
        }
        Ok(())
    }

    /// Records the services with too many replicas, and the leases of all services.
    pub(crate) fn look(&mut self, state: &State) {
        let now = state.now();
        self.before.clear();
        for lease in state.ledger().leases() {
            let placed = matches!(lease.owner, Owner::Unit { .. });
            if placed && lease.state == LeaseState::Confirmed && lease.window.contains(now) {
                let of = self.before.entry(lease.holder.clone()).or_default();
                of.push(lease.clone());
            }
        }
        for (service, known) in state.services() {
            let name = &service.name;
            if most(name, state).is_some_and(|most| known.replicas > most) {
                let since = self.short.entry(name.clone()).or_insert(now);
                *since = (*since).min(now);
            } else {
                self.short.remove(name);
            }
        }
    }

    /// Checks that no service has had too many replicas for too long.
    pub(crate) fn check(&self, state: &State) -> Check {
        let now = state.now();
        let late =
            |(_, since): &(&Name, &Timestamp)| now.since(**since) > PATIENCE + INTERVAL + INTERVAL;
        match self.short.iter().find(late) {
            Some((name, since)) if state.service(name).is_ok() => {
                let replicas = state.service(name).map_or(0, |(_, known)| known.replicas);
                let text =
                    format!("{name} has had {replicas} replicas without leases since {since}");
                fail(Rule::Leased, text)
            }
            _ => Ok(()),
        }
    }
}
