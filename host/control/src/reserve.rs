//! Reservations: agreed windows of scaling requests. If a reservation loses a lease, the core negotiates
//! its window again at once.

use std::collections::{BTreeMap, BTreeSet};

use haggle_model::{Name, ScalingReason, Span, Timestamp, Window};
use haggle_negotiate::{Placements, Purpose as Aim};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    State,
    purpose::{Asked, Origin},
    service::{Claim, Scheduled},
    session::Draft,
    step::Step,
};

/// The remaining time before a window, divided by this number, is the pause before the core retries a
/// missing lease. It retries often when the window is close, and rarely when it is months ahead.
const RARELY: u64 = 16;

/// An agreed window of a scaling request that has not ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Reservation {
    /// The scaling request.
    pub request: String,
    /// The index of the window, from 0.
    pub window_number: usize,
    /// The service.
    pub service: Name,
    /// The time of the window.
    pub window: Window,
    /// The minimum number of replicas during the window.
    pub replicas: u32,
    /// Whether it has begun.
    pub active: bool,
}

impl State {
    /// The reservations of one service, or of all, sorted by request.
    #[must_use]
    pub fn reservations(&self, service: Option<&Name>) -> Vec<Reservation> {
        let mut all = Vec::new();
        let of = |request: &&std::sync::Arc<crate::request::Request>| {
            service.is_none_or(|name| request.service == *name)
        };
        for request in self.requests.values().filter(of) {
            for (window_number, part) in request.parts.iter().enumerate() {
                let Some(verdict) = part.agreed().filter(|_| part.definite) else { continue };
                if verdict.window.end > self.now {
                    all.push(Reservation {
                        request: request.id.clone(),
                        window_number,
                        service: request.service.clone(),
                        window: verdict.window,
                        replicas: verdict.to,
                        active: verdict.window.start <= self.now,
                    });
                }
            }
        }
        all
    }
}

impl Step<'_> {
    /// Negotiates again for the reservations, of one service or of all, that have lost a lease. If no
    /// replacement is found, the core retries after the policy's lease time, or later if the window is far
    /// ahead.
    pub(crate) fn reserve_again(&mut self, of: Option<&Name>) {
        for (name, claim) in self.broken(of) {
            if self.state.is_negotiating(&name) {
                continue;
            }
            let Some((service, policy)) = self.described(&name) else { continue };
            let mut policy = policy.as_ref().clone();
            let left = claim.window.start.since(self.now).as_millis() / RARELY;
            let again = self.now + policy.negotiation.lease.max(Span::from_millis(left));
            policy.negotiation.hold_for(claim.window.length());
            let Some(state) = self.state.service_mut(&name) else { continue };
            let from = state.replicas;
            let same = |later: &&mut Scheduled| {
                later.claim.as_ref().is_some_and(|c| c.is_of(&claim.request, claim.part))
            };
            state.scheduled.iter_mut().filter(same).for_each(|later| later.again = again);
            self.keep(&name);
            let utilization = policy.scaling.target_utilization;
            let asked = Asked {
                wanted: service.replicas_for(&claim.load, utilization),
                from,
                reason: ScalingReason::Request,
                bound: None,
                explanation: "asked for through the API".to_owned(),
            };
            let draft = Draft {
                service: &service,
                policy: &policy,
                load: claim.load.clone(),
                aim: Aim::Renegotiation,
                window: claim.window,
                started_at: self.now,
                dry_run: false,
                replaces: &[],
            };
            let origin = Origin::Renewal { id: claim.request.clone(), part: claim.part };
            if let Some(session) = self.open_or_alert(draft, asked, origin) {
                self.note_session(&claim.request, claim.part, session);
            }
        }
    }

    /// Lets the next pass negotiate for every reservation that has lost a lease, because there may be more
    /// capacity now.
    pub(crate) fn retry_reservations(&mut self) {
        let waits = |state: &std::sync::Arc<crate::ServiceState>| {
            state.scheduled.iter().any(|later| later.again > self.now)
        };
        let waiting = self.state.services.iter().filter(|(_, state)| waits(state));
        let names: Vec<Name> = waiting.map(|(name, _)| name.clone()).collect();
        for name in names {
            if let Some(state) = self.state.service_mut(&name) {
                state.scheduled.iter_mut().for_each(|later| later.again = Timestamp::default());
            }
        }
    }

    /// Adds a negotiation to the window of its request.
    pub(crate) fn note_session(&mut self, request: &str, part: usize, id: String) {
        let Some(request) = self.state.requests.get_mut(request) else { return };
        let request = std::sync::Arc::make_mut(request);
        if let Some(part) = request.parts.get_mut(part)
            && !part.sessions.contains(&id)
        {
            part.sessions.push(id);
        }
        let request = std::sync::Arc::new(request.clone());
        self.keep_request(&request);
    }

    /// The reservations, of one service or of all, that have lost some of their agreed leases, including
    /// leases of a dependency.
    fn broken(&self, of: Option<&Name>) -> Vec<(Name, Claim)> {
        let now = self.now;
        let all = || {
            self.state.services.iter().flat_map(move |(name, state)| {
                let later = state.scheduled.iter().filter(move |later| later.at > now);
                later.map(move |later| (name, later))
            })
        };
        let own = |(name, later): &(&Name, &Scheduled)| {
            let is_own = later.claim.as_ref().is_some_and(|claim| !claim.load.is_zero());
            is_own && later.again <= now && of.is_none_or(|of| of == *name)
        };
        let due: Vec<(&Name, &Scheduled)> = match of.map(|of| self.state.services.get(of)) {
            Some(Some(state)) if state.scheduled.is_empty() => Vec::new(),
            _ => all().filter(own).collect(),
        };
        if due.is_empty() {
            return Vec::new();
        }
        let sessions: BTreeSet<&str> =
            due.iter().map(|(_, later)| later.session.as_str()).collect();
        // A service may have a thousand reservations and as many leases, so its leases are looked up once.
        let mut placements: BTreeMap<&Name, Placements<'_>> = BTreeMap::new();
        let mut short: BTreeSet<&str> = BTreeSet::new();
        for (name, later) in all().filter(|(_, later)| sessions.contains(later.session.as_str())) {
            let (Some(service), Some(claim)) =
                (self.state.catalog.services.get(name), &later.claim)
            else {
                continue;
            };
            let placed = placements
                .entry(name)
                .or_insert_with(|| Placements::of(&self.state.ledger, service));
            if placed.least(claim.window) < later.leased {
                short.insert(later.session.as_str());
            }
        }
        let short = due.into_iter().filter(|(_, later)| short.contains(later.session.as_str()));
        let claim = |(name, later): (&Name, &Scheduled)| Some((name.clone(), later.claim.clone()?));
        short.filter_map(claim).collect()
    }

    /// The reserved windows of the service, including those under negotiation, as (request, index, window).
    pub(crate) fn reserved(&self, service: &Name) -> Vec<(String, usize, Window)> {
        let claims = self.state.services.get(service).into_iter().flat_map(|state| {
            let later = state.scheduled.iter().filter_map(|later| later.claim.as_ref());
            state.claims.iter().chain(later)
        });
        let definite = claims.filter(|claim| !claim.open_ended && !claim.load.is_zero());
        let mut all: Vec<_> =
            definite.map(|claim| (claim.request.clone(), claim.part, claim.window)).collect();
        for purpose in self.state.sessions.values() {
            let Some((id, part)) = purpose.origin.request() else { continue };
            let definite = self.state.requests.get(id).and_then(|request| request.parts.get(part));
            if purpose.demand.requester == *service
                && !purpose.demand.dry_run
                && definite.is_some_and(|part| part.definite)
            {
                all.push((id.to_owned(), part, purpose.demand.window));
            }
        }
        all
    }
}
