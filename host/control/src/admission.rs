//! Admission of scaling requests. The core validates each request as a whole, stores it and then negotiates
//! its windows one by one.

use std::sync::Arc;

use haggle_model::{
    LeaseState, Name, Owner, ScalingPolicy, ScalingReason, Service, Span, Timestamp, Window,
};
use haggle_negotiate::Purpose as Aim;

use crate::{
    ControlError,
    id::Caller,
    purpose::{Asked, Origin},
    request::{Part, Request, Status},
    service::Claim,
    session::{Draft, Ended, MOST_OPEN},
    state::Unopened,
    step::Step,
    verdict::{Progress, Verdict, WindowVerdict},
    window::{ScalingRequest, ScalingWindow, Wanted},
};

/// The maximum number of reserved windows per service.
pub(crate) const MOST_RESERVATIONS: usize = 1000;

impl Step<'_> {
    /// Admits a request and opens its negotiations. Returns its id. The caller is answered once no window
    /// of the request is pending.
    pub(crate) fn request(
        &mut self,
        caller: Caller,
        request: &ScalingRequest,
        arrived: Timestamp,
    ) -> Result<String, ControlError> {
        let service = Arc::clone(self.state.catalog.service(&request.service)?);
        let policy = self.state.catalog.policy_of(&service);
        let wanted = request.wanted(&service, self.now)?;
        let open = self.state.sessions.len() + self.state.unopened.len() + wanted.len();
        if open > MOST_OPEN {
            return Err(ControlError::Busy { open, most: MOST_OPEN });
        }
        let several = request.windows.is_some();
        let taken = self.reserved(&service.name);
        let count = taken.len() + wanted.iter().filter(|wanted| wanted.is_definite()).count();
        if count > MOST_RESERVATIONS && !request.dry_run {
            let (service, most) = (service.name.clone(), MOST_RESERVATIONS);
            return Err(ControlError::TooManyReservations { service, count, most });
        }
        let from = self.state.services.get(&service.name).map_or(0, |state| state.replicas);
        let mut parts = Vec::new();
        for wanted in &wanted {
            let (window, refused) = match self.free_window(&service, &policy, wanted, &taken) {
                Ok(window) => (window, None),
                Err(error) if several => (wanted.window(self.now, Span::ZERO), Some(error)),
                Err(error) => return Err(error),
            };
            let denied = |error: ControlError| {
                let name = &service.name;
                let denied = WindowVerdict::denied(name, None, from, window, error.to_string());
                Status::Done(Box::new(denied))
            };
            parts.push(Part {
                window,
                load: wanted.load(&service, policy.scaling.target_utilization),
                definite: wanted.is_definite(),
                sessions: Vec::new(),
                status: refused.map_or(Status::Open, denied),
            });
        }
        let own = several.then(|| self.next_number());
        let mut numbers = Vec::new();
        for part in parts.iter_mut().filter(|part| part.status == Status::Open) {
            let number = self.next_number();
            part.sessions.push(self.id_of(number));
            numbers.push(number);
        }
        let number = own.or_else(|| numbers.first().copied()).unwrap_or(self.state.number);
        let id = self.id_of(number);
        let kept = Arc::new(Request {
            id: id.clone(),
            number,
            service: service.name.clone(),
            from,
            dry_run: request.dry_run,
            several,
            arrived,
            deadline: request.deadline,
            parts,
            over: false,
        });
        self.state.requests.insert(id.clone(), Arc::clone(&kept));
        self.state.waiting.insert(id.clone(), caller);
        let open = kept.parts.iter().enumerate().filter(|(_, part)| part.status == Status::Open);
        for ((place, part), number) in open.zip(numbers) {
            if several && !(self.state.unopened.is_empty() && self.state.has_room_for_window()) {
                let request = id.clone();
                self.state.unopened.push_back(Unopened { request, part: place, number });
                continue;
            }
            let origin = Origin::Request { id: id.clone(), part: place };
            self.open_part(&kept, part, (number, origin), &service, &policy, &[])?;
        }
        self.conclude(&id);
        Ok(id)
    }

    /// Opens the negotiation for one window. An invalid demand is an error if the request has one window,
    /// and a denial of that window if it has several.
    pub(crate) fn open_part(
        &mut self,
        request: &Request,
        part: &Part,
        (number, origin): (u64, Origin),
        service: &Service,
        policy: &ScalingPolicy,
        replaces: &[String],
    ) -> Result<(), ControlError> {
        let mut policy = policy.clone();
        if part.definite {
            policy.negotiation.hold_for(part.window.length());
        }
        if let Some(deadline) = request.deadline {
            policy.negotiation.deadline = deadline;
        }
        let owner = Owner::Service(service.name.clone());
        let promised = self.state.ledger.committed(&owner, part.window, &[]);
        let load = part.load.minus(&promised);
        let utilization = policy.scaling.target_utilization;
        let asked = Asked {
            wanted: service.replicas_for(&load, utilization),
            from: request.from,
            reason: ScalingReason::Request,
            bound: None,
            explanation: "asked for through the API".to_owned(),
        };
        let draft = Draft {
            service,
            policy: &policy,
            load,
            aim: Aim::Growth,
            window: part.window,
            started_at: request.arrived.min(self.now),
            dry_run: request.dry_run,
            replaces,
        };
        let place = origin.request().map_or(0, |(_, part)| part);
        match self.open_numbered(number, draft, asked, origin) {
            Ok(_) => Ok(()),
            Err(error) if request.several => {
                let (name, why) = (&service.name, error.to_string());
                let denied = WindowVerdict::denied(name, None, request.from, part.window, why);
                self.close_part(&request.id, place, denied);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The window to negotiate. A window that begins now replaces earlier requests that have begun, but not
    /// later reservations. An overlap shorter than the reconcile interval is cut off.
    fn free_window(
        &self,
        service: &Service,
        policy: &ScalingPolicy,
        wanted: &Wanted,
        taken: &[(String, usize, Window)],
    ) -> Result<Window, ControlError> {
        let now = self.now;
        let mut window = wanted.window(now, policy.negotiation.lease);
        if !wanted.is_definite()
            && let Some(state) = self.state.services.get(&service.name)
        {
            window = state.until_next_begin(window);
        }
        let asked = window;
        for (by, place, other) in taken {
            if !other.overlaps(&window) || (window.start <= now && other.start <= now) {
                continue;
            }
            let (start, end) = (window.start.max(other.start), window.end.min(other.end));
            let clipped = if other.start > window.start {
                Window { end: other.start, ..window }
            } else {
                Window { start: other.end, ..window }
            };
            let short = end.since(start) <= self.options.interval;
            if !short || clipped.start >= clipped.end {
                let (service, by, window) =
                    (service.name.clone(), self.cancelled_by(by, *place), *other);
                return Err(ControlError::Reserved { service, by, window });
            }
            window = clipped;
        }
        debug_assert!(window.start >= asked.start && window.end <= asked.end);
        Ok(window)
    }

    /// The id that cancels one window: its negotiation, or the request if it has no other window.
    fn cancelled_by(&self, id: &str, place: usize) -> String {
        let request = self.state.requests.get(id).filter(|request| request.parts.len() > 1);
        let part = request.and_then(|request| request.parts.get(place));
        let negotiation = part.and_then(|part| part.sessions.last());
        negotiation.map_or_else(|| id.to_owned(), Clone::clone)
    }

    /// Amends a reservation in place: negotiates the new window and releases the old one once the new one
    /// is agreed. If the new one is denied, the old reservation stays.
    pub(crate) fn amend(
        &mut self,
        caller: Caller,
        id: &str,
        window: ScalingWindow,
    ) -> Result<(), ControlError> {
        let not_found = || ControlError::not_found("scaling request", id);
        let request = self.state.requests.get(id).cloned().ok_or_else(not_found)?;
        let refuse = |why| Err(ControlError::NotAmendable { id: id.to_owned(), why });
        let [part] = request.parts.as_slice() else {
            return refuse("it has several windows: cancel it and ask anew");
        };
        if part.agreed().is_none() || !part.definite {
            return refuse("nothing is reserved by it: ask anew");
        }
        if self.state.waiting.contains_key(id) || self.amends(id) {
            return refuse("it is being changed already: wait for that");
        }
        let service = Arc::clone(self.state.catalog.service(&request.service)?);
        let policy = self.state.catalog.policy_of(&service);
        let wanted = Wanted::new(String::new(), window, &service, self.now)?;
        if !wanted.is_definite() {
            return refuse("the new window has no end: give `end` or `duration`");
        }
        let mut taken = self.reserved(&service.name);
        taken.retain(|(by, _, _)| by != id);
        let window = self.free_window(&service, &policy, &wanted, &taken)?;
        let number = self.next_number();
        let load = wanted.load(&service, policy.scaling.target_utilization);
        let amended = Part { window, load, sessions: vec![self.id_of(number)], ..part.clone() };
        self.state.waiting.insert(id.to_owned(), caller);
        let origin = Origin::Amendment { id: id.to_owned(), part: 0 };
        let request = Request { arrived: self.now, ..request.as_ref().clone() };
        let old = &part.sessions;
        self.open_part(&request, &amended, (number, origin), &service, &policy, old)
    }

    /// Whether an amendment of the request is being negotiated.
    fn amends(&self, id: &str) -> bool {
        self.state
            .sessions
            .values()
            .any(|purpose| matches!(&purpose.origin, Origin::Amendment { id: of, .. } if of == id))
    }

    /// Applies the result of an amendment.
    pub(crate) fn close_amendment(
        &mut self,
        id: &str,
        place: usize,
        ended: &Ended,
        verdict: WindowVerdict,
    ) {
        let Some(mut request) = self.state.requests.get(id).cloned() else { return };
        let mut answer = request.as_ref().clone();
        if let Some(part) = answer.parts.get_mut(place) {
            let old = std::mem::take(&mut part.sessions);
            part.status = Status::Done(Box::new(verdict.clone()));
            if verdict.verdict != Verdict::Denied {
                part.window = ended.window;
                let owner = Owner::Service(request.service.clone());
                let promised = self.state.ledger.committed(&owner, ended.window, &[]);
                part.load = ended.demand.load.plus(&promised);
                self.give_back_old(&request.service, &old, ended);
                // The new agreement may rely on some of the old leases, also on those of dependencies.
                let leases = || self.state.ledger.leases();
                let lives = |session: &&String| {
                    leases().any(|l| l.negotiation == **session && l.state == LeaseState::Confirmed)
                };
                part.sessions =
                    old.iter().filter(lives).cloned().chain([ended.id.clone()]).collect();
                request = Arc::new(answer.clone());
                self.state.requests.insert(id.to_owned(), Arc::clone(&request));
                self.keep_request(&request);
            }
        }
        if let Some(caller) = self.state.waiting.remove(id) {
            self.answer(caller, Ok(crate::Answer::Verdict(answer.verdict())));
        }
    }

    /// Releases the leases of earlier negotiations of an amended reservation that are not part of the new
    /// agreement. Drops the scheduled changes and claims of those negotiations.
    fn give_back_old(&mut self, holder: &Name, sessions: &[String], ended: &Ended) {
        let kept: Vec<_> = ended.outcome.agreement().map_or(&[][..], |a| &a.leases).to_vec();
        let mut released = self.release_of(holder, sessions, &kept);
        released.extend(self.release_spare(sessions));
        if let Some(last) = sessions.last() {
            let effects = self
                .with_engine(|engine, setting| engine.give_back(last, holder, released, setting));
            self.carry_out(effects);
        }
        self.unschedule(|later| sessions.contains(&later.session));
        let is_old = |claim: &Claim| sessions.contains(&claim.session);
        let concerned = self.state.services.iter();
        let concerned = concerned.filter(|(_, state)| state.claims.iter().any(is_old));
        let names: Vec<Name> = concerned.map(|(name, _)| name.clone()).collect();
        for name in names {
            if let Some(state) = self.state.service_mut(&name) {
                state.end_claims(is_old);
            }
            self.keep(&name);
        }
    }

    /// The progress of a request that was just admitted.
    pub(crate) fn progress_of(&self, id: &str) -> Result<Progress, ControlError> {
        let not_found = || ControlError::not_found("scaling request", id);
        self.state.request(id).ok_or_else(not_found)
    }
}
