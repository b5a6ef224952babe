//! The reconcile pass: it ends what is over, begins what was scheduled, and moves every service towards its
//! target.

use haggle_model::{Name, ScalingReason, Service};

use crate::{
    input::Scope,
    leasing::LOST,
    order::Order,
    purpose::{Asked, Origin},
    service::{Claim, Scheduled},
    session::Draft,
    step::Step,
    target::{Due, Next},
};

/// The reason for removing replicas after a request has ended.
const OVER: &str = "what was asked for is over";

/// The maximum number of negotiations that one pass opens. The next pass opens the others.
const MOST_OPENED: usize = 4096;

impl Step<'_> {
    pub(crate) fn reconcile(&mut self, scope: &Scope) {
        let names = match scope {
            Scope::Services(names) => names.clone(),
            Scope::All => {
                self.begin_pass();
                self.state.catalog.dependents_first()
            }
        };
        // A negotiation must see the current plans of the dependencies, so these are computed first.
        for name in &names {
            let is_dependency = self.state.catalog.dependents_of(name).next().is_some();
            if is_dependency && let Some((service, policy)) = self.described(name) {
                self.next(&service, &policy);
            }
        }
        for name in &names {
            self.reconcile_service(name);
        }
        if *scope == Scope::All {
            self.reserve_again(None);
            self.retire_requests();
            self.forget_records();
            self.repeat_actions();
        }
    }

    fn begin_pass(&mut self) {
        let report = &mut self.state.report;
        report.at = self.now;
        report.passes += 1;
        report.opened = 0;
        self.carry_out_reclaims();
        self.take_up_scheduled();
        let now = self.now;
        let expired = self.state.ledger.expire(now);
        self.state.report.expired = expired.len();
        self.expired(&expired);
        self.count_compliance();
        self.sweep_calendar();
        let (services, forecast, at_risk) =
            self.state.services.values().fold((0, 0, 0), |(all, forecast, risky), state| {
                let known = state.forecast.as_ref().is_some_and(|f| f.outlook.is_ok());
                let raised = state.alarm.raised.is_some();
                (all + 1, forecast + usize::from(known), risky + usize::from(raised))
            });
        let report = &mut self.state.report;
        (report.services, report.forecast, report.at_risk) = (services, forecast, at_risk);
    }

    /// Computes the target of one service, and negotiates if the service differs from it.
    pub(crate) fn reconcile_service(&mut self, name: &Name) {
        let Some((service, policy)) = self.described(name) else { return };
        let Some(from) = self.state.services.get(name).map(|state| state.replicas) else { return };
        let due = match self.next(&service, &policy) {
            Next::Nothing => return self.vacate(name, LOST),
            Next::Leave => return self.leave(&service),
            Next::Negotiate(due) => *due,
        };
        if self.state.is_negotiating(name) || self.state.report.opened >= MOST_OPENED {
            return;
        }
        if self.waits_for_dependents(&service) {
            return;
        }
        let Due { target, own, aim, window } = due;
        let asked = Asked { from, ..Asked::from(target) };
        let lost_until = self.lost_until(name, window.end);
        let draft = Draft {
            service: &service,
            policy: &policy,
            load: own.clone(),
            aim,
            window,
            started_at: self.now,
            dry_run: lost_until.is_some(),
            replaces: &[],
        };
        let origin = match lost_until {
            Some(lost_until) => Origin::Trial { load: own, lost_until },
            None => Origin::Target { load: own },
        };
        if self.open_or_alert(draft, asked, origin).is_none() {
            self.vacate(name, LOST);
        }
    }

    /// Whether a dependent has opened a negotiation in this step, which includes this service. Two
    /// negotiations would compete for the same replicas, so this service waits for the next pass. A service
    /// that has lost a lease does not wait.
    fn waits_for_dependents(&self, service: &Service) -> bool {
        let Some(state) = self.state.services.get(&service.name) else { return false };
        let uncovered = self.leased(service).is_some_and(|leased| leased < state.replicas);
        if self.opened.is_empty() || state.lost || uncovered {
            return false;
        }
        let dependents = self.state.catalog.all_dependents_of(&service.name);
        dependents.into_iter().any(|name| name != &service.name && self.opened.contains(name))
    }

    /// Releases all leases of a service whose request has ended and that has no other known need.
    fn leave(&mut self, service: &Service) {
        let leases: Vec<_> = self.placed(service).map(|lease| lease.id.clone()).collect();
        let released = self.state.ledger.release(&leases);
        self.keep_leases(&released);
        self.vacate_to(service, 0, OVER);
    }

    /// Applies the scheduled changes that are due, unless they are already over.
    fn take_up_scheduled(&mut self) {
        let now = self.now;
        let is_due = |later: &Scheduled| later.at <= now;
        let concerned = self.state.services.iter();
        let concerned = concerned.filter(|(_, state)| state.scheduled.iter().any(is_due));
        let names: Vec<Name> = concerned.map(|(name, _)| name.clone()).collect();
        for name in names {
            let Some(state) = self.state.service_mut(&name) else { continue };
            let due: Vec<Scheduled> =
                state.scheduled.extract_if(.., |later| is_due(later)).collect();
            self.keep(&name);
            for Scheduled { replicas, load, session, agreed, claim, until, .. } in due {
                if until.is_some_and(|until| until <= now) {
                    continue;
                }
                let Some(state) = self.state.service_mut(&name) else { continue };
                state.agreed = agreed.or(state.agreed.take());
                let before = state.underlying();
                state.claims.extend(claim.map(|claim| Claim { before, ..claim }));
                let to = state.replicas.max(replicas);
                self.order(
                    &name,
                    Order {
                        to,
                        wanted: replicas,
                        reason: ScalingReason::Request,
                        lasting: false,
                        load,
                        bound: None,
                        negotiation: Some(session),
                        explanation: "agreed earlier, for a window that begins now".to_owned(),
                    },
                );
            }
        }
    }

    /// Records the interval since the last pass for the objectives: the load and the load that could be
    /// carried.
    fn count_compliance(&mut self) {
        let (now, interval) = (self.now, self.options.interval);
        let objectives: Vec<_> = self
            .state
            .catalog
            .services
            .values()
            .filter(|service| service.objective.is_some())
            .cloned()
            .collect();
        for service in objectives {
            let Some(objective) = &service.objective else { continue };
            let Some(state) = self.state.service_mut(&service.name) else { continue };
            let Some((_, load)) = state.observed else { continue };
            let ready = state.seen.map_or(state.replicas, |(_, ready)| ready);
            let carried = service.carries(ready);
            state.compliance.record(now, interval, load, &carried, &service, objective);
        }
    }

    /// Repeats actions that the driver has not carried out.
    fn repeat_actions(&mut self) {
        let differs = |(name, state): (&Name, &std::sync::Arc<crate::ServiceState>)| {
            let (desired, _) = state.seen?;
            (desired != state.replicas).then(|| name.clone())
        };
        let names: Vec<Name> = self.state.services.iter().filter_map(differs).collect();
        names.iter().for_each(|name| self.actuate(name));
    }
}
