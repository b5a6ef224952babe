use std::collections::VecDeque;

use haggle_model::{
    Bound, Quantities, ScalingPolicy, ScalingReason, Service, Span, Timestamp, Window,
};
use serde::{Deserialize, Serialize};

use crate::Outlook;

/// What is known of a service when its target is worked out.
#[derive(Clone, Debug)]
pub struct Snapshot<'a> {
    /// The service.
    pub service: &'a Service,
    /// The policy it follows.
    pub policy: &'a ScalingPolicy,
    /// Now.
    pub now: Timestamp,
    /// How long until the next decision.
    pub interval: Span,
    /// How many replicas there are, starting ones included.
    pub replicas: u32,
    /// The load that was last observed, in the service's load resource.
    pub observed: Option<f64>,
    /// What is forecast; none where nobody could say.
    pub outlook: Option<&'a Outlook>,
    /// The probability that it fails soon, where anybody could say.
    pub risk: Option<f64>,
    /// How fast it uses up the error budget of its objective, where it has one.
    pub burn_rate: Option<f64>,
    /// What it has promised to others.
    pub promised: &'a Quantities,
    /// The most that it has promised to others at any time for which it would negotiate now: replicas
    /// that are needed again by then stay.
    pub promised_soon: &'a Quantities,
    /// What somebody asked for beyond that, where that was agreed.
    pub requested: Option<&'a Quantities>,
}

/// What a service needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The load to plan for.
    pub load: Quantities,
    /// The replicas that carry it.
    pub replicas: u32,
    /// Why.
    pub reason: ScalingReason,
    /// What kept it from being less or more.
    pub bound: Option<Bound>,
    /// For a person to read.
    pub explanation: String,
}

/// What a service needed a short while ago: it is scaled in to the highest of it only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recent(VecDeque<(Timestamp, u32)>);

impl Recent {
    /// Adds a target and forgets what is older than `window`.
    pub fn push(&mut self, now: Timestamp, replicas: u32, window: Span) {
        // A target that a later and higher one outlives will never be the highest again.
        while self.0.back().is_some_and(|(_, earlier)| *earlier <= replicas) {
            self.0.pop_back();
        }
        self.0.push_back((now, replicas));
        self.forget(now, window);
    }

    /// The highest target within `window` before `now`.
    #[must_use]
    pub fn highest(&self, now: Timestamp, window: Span) -> Option<u32> {
        let recent = |at: Timestamp| now.since(at) <= window;
        self.0.iter().find(|(at, _)| recent(*at)).map(|(_, replicas)| *replicas)
    }

    /// Forgets what lies ahead of `now`, after the clock went back.
    pub fn forget_after(&mut self, now: Timestamp) {
        self.0.retain(|(at, _)| *at <= now);
    }

    fn forget(&mut self, now: Timestamp, window: Span) {
        while self.0.front().is_some_and(|(at, _)| now.since(*at) > window) {
            self.0.pop_front();
        }
    }
}

/// A load counts up to so many times what all replicas carry: what they carry of it must not vanish beside it.
const BEYOND: f64 = 1e6;

/// Works out what a service needs until a decision taken in the next pass could be in effect: the upper
/// bound of its forecast, more of it when it is likely to fail, and never less than is observed already,
/// was promised or was asked for. A service is not scaled in when the forecast is missing or its confidence
/// low, nor below what it needed within the policy's stabilization window, or has promised already for soon.
#[must_use]
pub fn target(snapshot: &Snapshot<'_>, recent: &mut Recent) -> Target {
    let Snapshot { service, policy, now, replicas, .. } = *snapshot;
    let scaling = &policy.scaling;
    let (mut load, mut reason, mut explanation) = forecast_load(snapshot);
    if let Some(risk) = snapshot.risk.filter(|risk| *risk >= policy.failure_prediction.threshold) {
        load *= 1.0 + policy.failure_prediction.headroom;
        reason = ScalingReason::FailureRisk;
        explanation = format!(
            "a failure within {} has probability {risk:.2}, so {:.0}% are added; {explanation}",
            policy.failure_prediction.horizon,
            policy.failure_prediction.headroom * 100.0,
        );
    }
    if let Some(rate) = snapshot.burn_rate.filter(|rate| *rate >= policy.negotiation.burn_rate)
        && reason != ScalingReason::FailureRisk
    {
        load *= 1.0 + policy.failure_prediction.headroom;
        reason = ScalingReason::Objective;
        explanation = format!(
            "the error budget is used up {rate:.1} times as fast as it may be, so {:.0}% are added; {explanation}",
            policy.failure_prediction.headroom * 100.0,
        );
    }
    let resource = service.load_resource();
    let most = service.carries(service.replicas.max).get(resource).max(1.0);
    let own = Quantities::of(resource, load.min(most * BEYOND)).unwrap_or_default();
    let mut load = own.max(snapshot.promised);
    if snapshot.promised.get(resource) > own.get(resource) {
        reason = ScalingReason::Dependency;
        explanation = format!("promised {} to others; {explanation}", snapshot.promised);
    }
    let lasting = load.max(snapshot.promised_soon);
    if let Some(requested) = snapshot.requested {
        let whole = requested.plus(snapshot.promised);
        if whole.get(resource) > load.get(resource) {
            reason = ScalingReason::Request;
            explanation = format!("{requested} were asked for through the API; {explanation}");
        }
        load = load.max(&whole);
    }
    let wanted = service.replicas_for(&load, scaling.target_utilization);
    let unbounded = service.replicas_wanted(&load, scaling.target_utilization);
    let mut bound = (unbounded != wanted).then_some(Bound::Replicas);
    // What is asked for until a certain time is over then: it is no peak that might come back.
    recent.push(
        now,
        service.replicas_for(&lasting, scaling.target_utilization),
        scaling.stabilization,
    );
    let mut target = wanted;
    if wanted < replicas {
        let confidence = snapshot.outlook.map(|outlook| outlook.confidence);
        if confidence.is_none_or(|confidence| confidence < scaling.min_confidence) {
            target = replicas.min(service.replicas.max);
            bound = Some(Bound::Confidence);
        } else if let Some(highest) = recent.highest(now, scaling.stabilization)
            && highest > wanted
        {
            target = highest.min(replicas);
            bound = Some(Bound::Stabilization);
        }
    }
    Target { load, replicas: target, reason, bound, explanation }
}

/// The load to plan for by the forecast; what was observed where there is none.
fn forecast_load(snapshot: &Snapshot<'_>) -> (f64, ScalingReason, String) {
    let Snapshot { service, policy, now, interval, .. } = *snapshot;
    let lead =
        Span::from_millis(service.replica.startup.as_millis().saturating_add(interval.as_millis()));
    let window = Window { start: now, end: now + lead + interval };
    let observed = snapshot.observed.unwrap_or(0.0).max(0.0);
    match snapshot.outlook.and_then(|outlook| outlook.peak(&policy.scaling, window)) {
        // More than was held possible is coming in already.
        Some(peak) if observed > peak => {
            let text = format!(
                "{observed:.1} {} were observed, more than was forecast ({:.1} at most)",
                service.load_resource(),
                peak.max(0.0),
            );
            (observed, ScalingReason::Forecast, text)
        }
        Some(peak) => {
            let load = peak.max(0.0);
            let text = format!(
                "{:.1} {} are forecast at most (quantile {}) within {lead}",
                load,
                service.load_resource(),
                policy.scaling.quantile,
            );
            (load, ScalingReason::Forecast, text)
        }
        None => {
            let text =
                format!("no forecast; {observed:.1} {} were observed", service.load_resource());
            (observed, ScalingReason::Forecast, text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Recent, Snapshot, target};
    use crate::{Interval, Outlook};
    use haggle_model::{
        Bound, Name, Quantities, Replica, Replicas, Resource, ScalingPolicy, ScalingReason,
        Service, Span, Tier, Timestamp,
    };
    use proptest::prelude::*;

    fn service() -> Service {
        Service {
            name: Name::new("shop").unwrap(),
            replica: Replica {
                requests: Quantities::new(),
                capacity: Quantities::of(Resource::RequestsPerSecond, 10.0).unwrap(),
                startup: Span::from_secs(60),
            },
            replicas: Replicas { min: 1, max: 50 },
            policy: Name::new("default").unwrap(),
            tier: Tier::Silver,
            objective: None,
            weight: 1.0,
            location: None,
            gpu_type: None,
            endpoint: None,
        }
    }

    fn outlook(upper: f64, confidence: f64) -> Outlook {
        Outlook {
            start: Timestamp::from_millis(0),
            step: Span::from_mins(1),
            mean: vec![upper / 2.0; 15],
            intervals: vec![Interval { level: 0.95, lower: vec![0.0; 15], upper: vec![upper; 15] }],
            confidence,
        }
    }

    fn policy() -> ScalingPolicy {
        let mut policy = ScalingPolicy::default();
        policy.scaling.target_utilization = 1.0;
        policy
    }

    fn snapshot<'a>(
        service: &'a Service,
        policy: &'a ScalingPolicy,
        outlook: Option<&'a Outlook>,
        replicas: u32,
        promised: &'a Quantities,
    ) -> Snapshot<'a> {
        Snapshot {
            service,
            policy,
            now: Timestamp::from_millis(0),
            interval: Span::from_mins(1),
            replicas,
            observed: Some(20.0),
            outlook,
            risk: None,
            burn_rate: None,
            promised,
            promised_soon: promised,
            requested: None,
        }
    }

    #[test]
    fn what_was_asked_for_is_planned_for_beside_what_was_promised() {
        let (service, policy) = (service(), policy());
        let rps = |rps| Quantities::of(Resource::RequestsPerSecond, rps).unwrap();
        let ahead = outlook(35.0, 0.9);
        let (promised, requested) = (rps(20.0), rps(70.0));
        let now = Snapshot {
            requested: Some(&requested),
            ..snapshot(&service, &policy, Some(&ahead), 9, &promised)
        };
        let found = target(&now, &mut Recent::default());
        assert_eq!((found.replicas, found.reason), (9, ScalingReason::Request));
        // More is forecast than was asked for.
        let requested = rps(5.0);
        let now = Snapshot { requested: Some(&requested), ..now };
        let found = target(&now, &mut Recent::default());
        assert_eq!((found.replicas, found.reason), (4, ScalingReason::Forecast));
    }

    #[test]
    fn an_absurd_load_asks_for_all_replicas_and_stays_comparable_with_what_they_carry() {
        let (service, policy, nothing) = (service(), policy(), Quantities::new());
        let now =
            Snapshot { observed: Some(9e14), ..snapshot(&service, &policy, None, 9, &nothing) };
        let found = target(&now, &mut Recent::default());
        let most = service.carries(service.replicas.max).get(Resource::RequestsPerSecond);
        assert_eq!(found.replicas, service.replicas.max);
        assert!(most / found.load.get(Resource::RequestsPerSecond) >= 1e-7);
    }

    #[test]
    fn what_was_asked_for_and_is_over_is_no_peak_to_wait_for() {
        let (service, policy, nothing) = (service(), policy(), Quantities::new());
        let ahead = outlook(35.0, 0.9);
        let asked = Quantities::of(Resource::RequestsPerSecond, 400.0).unwrap();
        let mut recent = Recent::default();
        let now = snapshot(&service, &policy, Some(&ahead), 40, &nothing);
        assert_eq!(
            target(&Snapshot { requested: Some(&asked), ..now.clone() }, &mut recent).replicas,
            40
        );
        assert_eq!(target(&now, &mut recent).replicas, 4);
    }

    #[test]
    fn plans_for_the_upper_bound_and_for_what_was_promised() {
        let (service, policy) = (service(), policy());
        let ahead = outlook(101.0, 0.9);
        let nothing = Quantities::new();
        let now = snapshot(&service, &policy, Some(&ahead), 3, &nothing);
        let found = target(&now, &mut Recent::default());
        assert_eq!((found.replicas, found.reason), (11, ScalingReason::Forecast));
        let promised = Quantities::of(Resource::RequestsPerSecond, 200.0).unwrap();
        let now = snapshot(&service, &policy, Some(&ahead), 3, &promised);
        let found = target(&now, &mut Recent::default());
        assert_eq!((found.replicas, found.reason), (20, ScalingReason::Dependency));
    }

    #[test]
    fn a_likely_failure_adds_headroom() {
        let (service, policy, nothing) = (service(), policy(), Quantities::new());
        let ahead = outlook(100.0, 0.9);
        let mut now = snapshot(&service, &policy, Some(&ahead), 3, &nothing);
        now.risk = Some(0.9);
        let found = target(&now, &mut Recent::default());
        assert_eq!((found.replicas, found.reason), (13, ScalingReason::FailureRisk));
    }

    #[test]
    fn scales_in_only_when_sure_and_when_nothing_more_was_needed_lately() {
        let (service, policy, nothing) = (service(), policy(), Quantities::new());
        let unsure = outlook(50.0, 0.0);
        let now = snapshot(&service, &policy, Some(&unsure), 9, &nothing);
        assert_eq!(target(&now, &mut Recent::default()).bound, Some(Bound::Confidence));
        let now = snapshot(&service, &policy, None, 9, &nothing);
        assert_eq!(target(&now, &mut Recent::default()).replicas, 9);
        let sure = outlook(50.0, 1.0);
        let now = snapshot(&service, &policy, Some(&sure), 9, &nothing);
        assert_eq!(target(&now, &mut Recent::default()).replicas, 5);
        let mut recent = Recent::default();
        recent.push(Timestamp::from_millis(0), 7, Span::from_mins(5));
        let found = target(&now, &mut recent);
        assert_eq!((found.replicas, found.bound), (7, Some(Bound::Stabilization)));
    }

    proptest! {
        #[test]
        fn stays_within_the_bounds_of_the_service(
            upper in 0.0..1e12_f64, replicas in 0_u32..200, confidence in 0.0..1.0_f64,
        ) {
            let (service, policy, nothing) = (service(), policy(), Quantities::new());
            let ahead = outlook(upper, confidence);
            let now = snapshot(&service, &policy, Some(&ahead), replicas, &nothing);
            let found = target(&now, &mut Recent::default());
            prop_assert!((1..=50).contains(&found.replicas));
        }

        #[test]
        fn the_highest_recent_need_is_remembered_until_it_is_old(
            needs in prop::collection::vec((0_u64..10, 0_u32..20), 1..40),
        ) {
            let window = Span::from_millis(20);
            let mut recent = Recent::default();
            let mut all = Vec::new();
            let mut now = 0;
            for (pause, replicas) in needs {
                now += pause;
                let at = Timestamp::from_millis(now);
                recent.push(at, replicas, window);
                all.push((at, replicas));
                let expected = all.iter().filter(|(t, _)| at.since(*t) <= window).map(|(_, r)| *r).max();
                prop_assert_eq!(recent.highest(at, window), expected);
            }
        }
    }
}
