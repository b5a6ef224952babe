//! What is reserved and has lost something of it, because a provider takes it back or a higher tier borrows
//! it, is negotiated for again at once, for its own window.

use std::collections::BTreeSet;

use haggle_model::{Name, Quantities, ScalingReason, Span, Timestamp, Window};
use haggle_negotiate::{Ledger, Purpose, leased_replicas};

use crate::{
    documents::catalog::Catalog,
    error::HostError,
    host::Host,
    negotiating::{
        Wish,
        applying::{Asked, Origin},
        exchange::{Waiting, has_to_wait},
    },
    persistence::committing::Pending,
    state::{Scheduled, ServiceState},
    views::TurnReport,
};

/// What is missing is asked for again after this part of the time that is left: often enough when it comes
/// close, and not a thousand times for what is months ahead.
const RARELY: u64 = 16;

/// What somebody has reserved for a service.
struct Reservation {
    service: Name,
    /// All that it was agreed in, oldest first.
    negotiations: Vec<String>,
    window: Window,
    load: Quantities,
    goes_on: bool,
}

impl Host {
    /// Negotiates again for what is reserved and has lost a lease. Where others cannot be had, that is put to
    /// the test again after the policy's lease, and the longer the more time is left.
    pub(crate) fn reserve_again(
        &self,
        catalog: &Catalog,
        now: Timestamp,
        pending: &mut Pending,
        report: &mut TurnReport,
    ) -> Result<(), HostError> {
        for broken in self.broken(catalog, now) {
            if self.is_negotiating(&broken.service) {
                continue;
            }
            let service = catalog.service(&broken.service)?;
            let mut policy = catalog.policy_of(service).as_ref().clone();
            let part = broken.window.start.since(now).as_millis() / RARELY;
            let again = now + policy.negotiation.lease.max(Span::from_millis(part));
            policy.negotiation.hold_for(broken.window.length());
            let Reservation { negotiations, window, load, goes_on, .. } = broken;
            let mut states = self.states();
            let Some(state) = states.get_mut(&service.name) else { continue };
            let latest = negotiations.last();
            let same = |other: &&mut Scheduled| Some(&other.negotiation) == latest;
            state.scheduled.iter_mut().filter(same).for_each(|other| other.again = again);
            let asked = Asked {
                wanted: service.replicas_for(&load, policy.scaling.target_utilization),
                from: state.replicas,
                reason: ScalingReason::Request,
                bound: None,
                explanation: "asked for through the API".to_owned(),
                load: None,
                origin: Origin::Request { goes_on, later: true },
                earlier: negotiations,
            };
            let purpose = Purpose::Renegotiation;
            let wish = Wish { service, policy: &policy, load, purpose, window };
            let (number, demand) = self.demand(wish, now)?;
            let mut ledger = self.ledger();
            if has_to_wait(catalog, &ledger, &service.name) {
                drop(ledger);
                drop(states);
                let waiting = Waiting { number, demand, asked, answer: None, ended: false };
                self.serve_with_others(waiting, pending, report)?;
                continue;
            }
            match self.negotiate(catalog, &states, &mut ledger, (number, demand), now) {
                Ok(session) => {
                    drop(ledger);
                    let verdict = session.verdict(asked.from);
                    report.count(verdict.verdict);
                    self.settle(&session, &verdict, asked, now, &mut states, pending)?;
                }
                Err(error) => self.not_negotiable(&service.name, error, report)?,
            }
        }
        Ok(())
    }

    /// The reservations of which something has gone that they were agreed with, be it of a dependency.
    fn broken(&self, catalog: &Catalog, now: Timestamp) -> Vec<Reservation> {
        let (states, ledger) = (self.states(), self.ledger());
        let all = || {
            let of = |(name, state): (&Name, &ServiceState)| {
                let later = state.scheduled.iter().filter(|scheduled| scheduled.at > now);
                later.map(|scheduled| (name.clone(), scheduled.clone())).collect::<Vec<_>>()
            };
            states.iter().flat_map(of)
        };
        let short = all().filter(|(name, later)| is_short(catalog, &ledger, name, later));
        let short: BTreeSet<String> = short.map(|(_, later)| later.negotiation).collect();
        let broken =
            all().filter(|(_, later)| short.contains(&later.negotiation) && later.again <= now);
        let reservation = |(service, later): (Name, Scheduled)| {
            let requested = later.requested.filter(|requested| !requested.load.is_zero())?;
            Some(Reservation {
                service,
                negotiations: requested.negotiations(),
                window: requested.window,
                load: requested.load,
                goes_on: requested.goes_on,
            })
        };
        broken.filter_map(reservation).collect()
    }
}

fn is_short(catalog: &Catalog, ledger: &Ledger, name: &Name, later: &Scheduled) -> bool {
    let window = later.requested.as_ref().map(|requested| requested.window);
    let (Some(service), Some(window)) = (catalog.services.get(name), window) else { return false };
    leased_replicas(ledger, service, window) < later.leased
}

#[cfg(test)]
mod tests;
