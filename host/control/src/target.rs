//! Computes the target of a service, and whether to negotiate for it.

use haggle_model::{
    LeaseState, Name, Owner, Quantities, ScalingPolicy, ScalingReason, Service, Span, Timestamp,
    Window,
};
use haggle_negotiate::Purpose as Aim;
use haggle_plan::{Snapshot, Target, target};

use crate::{
    purpose::{Asked, Origin},
    service::{Claim, Refusal},
    session::{Draft, Ended},
    step::Step,
    verdict::{Verdict, WindowVerdict},
};

/// A measurement is valid for this many forecast steps, or passes if those are longer.
const MEASURED_STEPS: u64 = 5;

/// The negotiation that a service needs now.
pub(crate) struct Due {
    pub(crate) target: Target,
    /// The part of the target load that dependents have not already negotiated.
    pub(crate) own: Quantities,
    pub(crate) aim: Aim,
    pub(crate) window: Window,
}

/// The next action for a service.
pub(crate) enum Next {
    Negotiate(Box<Due>),
    /// The service has what it needs, nothing is known about its need, or the same load was refused
    /// recently.
    Nothing,
    /// The request has ended, and there is no other known need.
    Leave,
}

impl Step<'_> {
    /// Computes the next action for the service.
    pub(crate) fn next(&mut self, service: &Service, policy: &ScalingPolicy) -> Next {
        let name = &service.name;
        let (now, interval) = (self.now, self.options.interval);
        let utilization = policy.scaling.target_utilization;
        let ahead = self.ahead(service);
        let promised = self.state.ledger.committed(&Owner::Service(name.clone()), ahead, &[]);
        let lasting = policy.scaling.stabilization.max(policy.negotiation.lease);
        let soon = Window { end: ahead.end.max(now + lasting), ..ahead };
        let promised_soon = self.state.ledger.committed(&Owner::Service(name.clone()), soon, &[]);
        let depends = self.state.catalog.graph.dependencies_of(name).next().is_some();
        let negotiating = self.state.is_negotiating(name);
        let leased = self.leased(service);
        let dependents_known = self.dependents_known(name);
        let crate::State { services, ledger, .. } = &mut self.state;
        let Some(state) = services.get_mut(name).map(std::sync::Arc::make_mut) else {
            return Next::Nothing;
        };
        let outlook = state.forecast.as_ref().and_then(|f| f.outlook.as_ref().ok().cloned());
        // An old measurement says nothing about the present.
        let step = policy.forecasting.step.max(interval);
        let lasts = Span::from_millis(step.as_millis().saturating_mul(MEASURED_STEPS));
        let fresh = |(at, _): &(Timestamp, f64)| now.since(*at) <= lasts;
        let observed = state.observed.filter(fresh).map(|(_, load)| load);
        let is_known = observed.is_some() || outlook.is_some() || !promised.is_zero();
        // The need of its dependents is negotiated with them, so an open-ended claim must not block it
        // forever.
        let yields = is_known || dependents_known;
        let ended = state.end_claims(|claim| !claim.counts(now, yields));
        let over = ended || state.return_to.is_some();
        let is_left = !is_known && over && state.claims.is_empty();
        let (from, lost, claimed) = (state.replicas, state.lost, state.claimed());
        let returns_to = state.return_to;
        let next = if is_left && from > service.replicas.min && !negotiating {
            state.planned = Quantities::new();
            Next::Leave
        } else {
            let uncovered = leased.is_some_and(|leased| leased < from);
            if !is_known && claimed.is_none() && !lost && !uncovered {
                // Nothing is requested of the service any more, so no party buys capacity for the earlier
                // need.
                state.planned = Quantities::new();
                Next::Nothing
            } else {
                let threshold = policy.failure_prediction.threshold;
                let alarm = state.alarm.raised.is_some();
                // The service returns to its earlier number, or to the highest recent need without the
                // ended claims.
                let recent = state.recent.highest(now, policy.scaling.stabilization);
                let before = |before: u32| before.max(recent.unwrap_or_default()).min(from);
                let snapshot = Snapshot {
                    service,
                    policy,
                    now,
                    interval,
                    replicas: state.return_to.map_or(from, before),
                    observed,
                    known_steps: state.known_steps,
                    outlook: outlook.as_deref(),
                    risk: alarm.then(|| state.risk.unwrap_or(0.0).max(threshold)),
                    burn_rate: service.objective.map(|o| state.compliance.burn_rate(&o)),
                    promised: &promised,
                    promised_soon: &promised_soon,
                    requested: claimed.as_ref(),
                };
                let target = target(&snapshot, &mut state.recent);
                // Replicas beyond the load are kept on purpose. They are part of the request, and the
                // negotiation of a dependent must not take them away.
                let load = if service.replicas_for(&target.load, utilization) < target.replicas {
                    target.load.max(&service.carries(target.replicas).scaled(utilization))
                } else {
                    target.load.clone()
                };
                state.planned = load.clone();
                // Capacity that was requested until a fixed time is not renewed.
                let ends = state.claims_end().filter(|_| !is_known);
                let window = Window::new(now, policy.negotiation.lease);
                let window = Window { end: ends.unwrap_or(window.end), ..window };
                let window = state.until_next_begin(window);
                // A dependent that was promised part of the load has already negotiated that part, if the
                // promise covers the same time.
                let promised = ledger.committed(&Owner::Service(name.clone()), window, &[]);
                let own = load.minus(&promised);
                let resource = service.load_resource();
                let slack = target.load.get(resource) * policy.negotiation.tolerance;
                let differs =
                    |load: &Quantities| (own.get(resource) - load.get(resource)).abs() > slack;
                let due = match &state.agreed {
                    Some(agreed) => {
                        // A later agreement may take over from it.
                        let goes_on = ends.is_none()
                            && state.next_begin(now).is_none_or(|begin| agreed.until < begin);
                        (goes_on && agreed.is_ending(now)) || (depends && differs(&agreed.load))
                    }
                    None => depends,
                };
                let in_vain = |refusal: &Refusal| now < refusal.until && !differs(&refusal.load);
                if target.replicas == from && !due && !lost && !uncovered {
                    state.return_to = None;
                    Next::Nothing
                } else if target.replicas >= from && state.refusal.as_ref().is_some_and(in_vain) {
                    Next::Nothing
                } else {
                    let aim = match target.reason {
                        _ if target.replicas == from => Aim::Renegotiation,
                        ScalingReason::FailureRisk | ScalingReason::Objective => {
                            Aim::FailureAvoidance
                        }
                        ScalingReason::Tier => Aim::TierChange,
                        _ => Aim::Growth,
                    };
                    Next::Negotiate(Box::new(Due { target, own, aim, window }))
                }
            }
        };
        if ended || state.return_to != returns_to {
            self.keep(name);
        }
        next
    }

    /// The window until a decision of the next pass could take effect.
    pub(crate) fn ahead(&self, service: &Service) -> Window {
        let interval = self.options.interval;
        Window::new(self.now, service.replica.startup + interval + interval)
    }

    /// Whether the load of any direct or indirect dependent is known. This only matters if an open-ended
    /// claim has passed the end of its window.
    fn dependents_known(&self, name: &Name) -> bool {
        let is_waiting = |claim: &Claim| claim.open_ended && claim.window.end <= self.now;
        let state = self.state.services.get(name);
        if !state.is_some_and(|state| state.claims.iter().any(is_waiting)) {
            return false;
        }
        let dependents = self.state.catalog.all_dependents_of(name);
        let mut states = dependents.iter().filter_map(|name| self.state.services.get(*name));
        states.any(|state| state.is_observed())
    }

    /// The end of the first lost lease that still runs for a while. Less capacity may be available now than
    /// that lease still provides.
    pub(crate) fn lost_until(&self, name: &Name, end: Timestamp) -> Option<Timestamp> {
        if !self.state.services.get(name).is_some_and(|state| state.lost) {
            return None;
        }
        let lost = self.state.ledger.leases_of(name).filter(|lease| {
            let soon = self.now < lease.window.end && lease.window.end < end;
            lease.state == LeaseState::Confirmed && soon
        });
        lost.map(|lease| lease.window.end).min()
    }

    /// Handles the result of a trial. A lost lease is not released early: its replacement begins now if the
    /// whole load is available, and otherwise when the lost lease ends.
    pub(crate) fn after_trial(
        &mut self,
        trial: &Ended,
        verdict: &WindowVerdict,
        asked: Asked,
        load: Quantities,
        lost_until: Timestamp,
    ) {
        let name = &trial.demand.requester;
        let Some((service, policy)) = self.described(name) else { return };
        let mut window = trial.demand.window;
        if verdict.verdict != Verdict::Approved {
            window = Window::new(lost_until.max(self.now), window.length());
        }
        window.start = window.start.max(self.now);
        if let Some(state) = self.state.services.get(name) {
            window = state.until_next_begin(window);
        }
        let (aim, started_at) = (trial.demand.purpose, self.now);
        let draft = Draft {
            service: &service,
            policy: &policy,
            load: load.clone(),
            aim,
            window,
            started_at,
            dry_run: false,
            replaces: &[],
        };
        if self.open_or_alert(draft, asked, Origin::Target { load }).is_none() {
            self.vacate(name, crate::leasing::LOST);
        }
    }
}
