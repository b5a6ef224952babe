//! What a service should have, and whether that is to be negotiated.

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

/// A measurement counts for so many steps of the forecast, or passes where those are longer.
const MEASURED_STEPS: u64 = 5;

/// What is to be negotiated for a service now.
pub(crate) struct Due {
    pub(crate) target: Target,
    /// The load of it that others have not negotiated for already.
    pub(crate) own: Quantities,
    pub(crate) aim: Aim,
    pub(crate) window: Window,
}

/// What is to be done for a service.
pub(crate) enum Next {
    Negotiate(Box<Due>),
    /// What it has will do, nothing is known of it, or the same was refused a moment ago.
    Nothing,
    /// What was asked for is over, and nothing says that any of it is still wanted.
    Leave,
}

impl Step<'_> {
    /// What is to be done for the service.
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
        // What was measured long ago says nothing of now.
        let step = policy.forecasting.step.max(interval);
        let lasts = Span::from_millis(step.as_millis().saturating_mul(MEASURED_STEPS));
        let fresh = |(at, _): &(Timestamp, f64)| now.since(*at) <= lasts;
        let observed = state.observed.filter(fresh).map(|(_, load)| load);
        let is_known = observed.is_some() || outlook.is_some() || !promised.is_zero();
        // What its dependents need is negotiated with them: it must not stand in their way for ever.
        let yields = is_known || dependents_known;
        let ended = state.end_claims(|claim| !claim.counts(now, yields));
        let over = ended || state.return_to.is_some();
        let is_left = !is_known && over && state.claims.is_empty();
        let (from, lost, claimed) = (state.replicas, state.lost, state.claimed());
        let next = if is_left && from > service.replicas.min && !negotiating {
            state.planned = Quantities::new();
            Next::Leave
        } else {
            let uncovered = leased.is_some_and(|leased| leased < from);
            if !is_known && claimed.is_none() && !lost && !uncovered {
                // Nothing is asked of it any more, so nobody buys for what was.
                state.planned = Quantities::new();
                Next::Nothing
            } else {
                let threshold = policy.failure_prediction.threshold;
                let alarm = state.alarm.raised.is_some();
                // It returns to what it had, or to what was needed lately without what is over.
                let recent = state.recent.highest(now, policy.scaling.stabilization);
                let before = |before: u32| before.max(recent.unwrap_or_default()).min(from);
                let snapshot = Snapshot {
                    service,
                    policy,
                    now,
                    interval,
                    replicas: state.return_to.map_or(from, before),
                    observed,
                    outlook: outlook.as_deref(),
                    risk: alarm.then(|| state.risk.unwrap_or(0.0).max(threshold)),
                    burn_rate: service.objective.map(|o| state.compliance.burn_rate(&o)),
                    promised: &promised,
                    promised_soon: &promised_soon,
                    requested: claimed.as_ref(),
                };
                let target = target(&snapshot, &mut state.recent);
                // More replicas than the load needs are kept on purpose: they are part of what is asked for, and
                // a dependent's negotiation must not take them away.
                let load = if service.replicas_for(&target.load, utilization) < target.replicas {
                    target.load.max(&service.carries(target.replicas).scaled(utilization))
                } else {
                    target.load.clone()
                };
                state.planned = load.clone();
                // What was asked for until a certain time is not renewed.
                let ends = state.claims_end().filter(|_| !is_known);
                let window = Window::new(now, policy.negotiation.lease);
                let window = Window { end: ends.unwrap_or(window.end), ..window };
                let window = state.until_next_begin(window);
                // Whoever was promised a part of it has negotiated for that part already, if that is
                // promised for the same time.
                let promised = ledger.committed(&Owner::Service(name.clone()), window, &[]);
                let own = load.minus(&promised);
                let resource = service.load_resource();
                let slack = target.load.get(resource) * policy.negotiation.tolerance;
                let differs =
                    |load: &Quantities| (own.get(resource) - load.get(resource)).abs() > slack;
                let due = match &state.agreed {
                    Some(agreed) => {
                        // What was agreed for later may take over from it.
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
        if ended {
            self.keep(name);
        }
        next
    }

    /// Until a decision taken at the next pass could be in effect.
    pub(crate) fn ahead(&self, service: &Service) -> Window {
        let interval = self.options.interval;
        Window::new(self.now, service.replica.startup + interval + interval)
    }

    /// Whether anything is known of the load of those that depend on the service, directly or not. It only
    /// matters where a request without an end has had its time.
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

    /// When the first lease ends that the service has lost and that still runs for a while: less may be to be
    /// had than it still gives.
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

    /// A lost lease is not given up before its time: what replaces it begins now if all of it can be had, and
    /// otherwise when the lost lease ends.
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
