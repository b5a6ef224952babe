use std::collections::VecDeque;

use haggle_model::{
    Bound, Quantities, ScalingPolicy, ScalingReason, Service, Span, Timestamp, Window,
};
use serde::{Deserialize, Serialize};

use crate::Outlook;

/// The state of a service for computing its target.
#[derive(Clone, Debug)]
pub struct Snapshot<'a> {
    /// The service.
    pub service: &'a Service,
    /// The policy it follows.
    pub policy: &'a ScalingPolicy,
    /// The current time.
    pub now: Timestamp,
    /// The time until the next decision.
    pub interval: Span,
    /// The number of replicas, including starting ones.
    pub replicas: u32,
    /// The observed load of the last step, in the unit of the service's load resource; `None` if it is
    /// unknown or stale.
    pub observed: Option<f64>,
    /// The number of steps that the load is known for.
    pub known_steps: usize,
    /// The forecast, if there is one.
    pub outlook: Option<&'a Outlook>,
    /// The probability of a failure soon, if known.
    pub risk: Option<f64>,
    /// The burn rate of the error budget, if the service has an objective.
    pub burn_rate: Option<f64>,
    /// The load that the service has promised to others.
    pub promised: &'a Quantities,
    /// The maximum load that it has promised to others at any time within a negotiation that starts now.
    /// Replicas that will be needed again by then stay.
    pub promised_soon: &'a Quantities,
    /// The granted load of scaling requests beyond the promises.
    pub requested: Option<&'a Quantities>,
}

/// The need of a service.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The planned load.
    pub load: Quantities,
    /// The number of replicas that carry it.
    pub replicas: u32,
    /// The reason.
    pub reason: ScalingReason,
    /// The limit that changed the number of replicas.
    pub bound: Option<Bound>,
    /// An explanation for a person.
    pub explanation: String,
}

/// The recent targets of a service. Scaling in stops at the highest of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recent(VecDeque<(Timestamp, u32)>);

impl Recent {
    /// Adds a target, and drops targets older than `window`.
    pub fn push(&mut self, now: Timestamp, replicas: u32, window: Span) {
        // A target that is followed by an equal or higher one can never be the maximum again.
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

    /// Drops targets after `now`, once the clock has gone back.
    pub fn forget_after(&mut self, now: Timestamp) {
        self.0.retain(|(at, _)| *at <= now);
    }

    fn forget(&mut self, now: Timestamp, window: Span) {
        while self.0.front().is_some_and(|(at, _)| now.since(*at) > window) {
            self.0.pop_front();
        }
    }
}

/// The cap of a load, as a multiple of the capacity of all replicas. Far beyond it, that capacity would be
/// lost in rounding when the two are compared.
const BEYOND: f64 = 1e6;

/// Computes the need of a service until a decision of the next pass could take effect. It is the upper
/// bound of the forecast, with headroom if a failure is likely or the error budget burns too fast. Until
/// there is evidence for the forecast, it is the observed load with headroom. It is never below the
/// observed, promised or requested load. Scaling in requires an observed load or a forecast with enough
/// confidence. It stops at the highest need within the stabilization window and at the load promised for
/// the near future.
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
    // A request with a fixed end is over at that time, so it does not count as a recent peak.
    recent.push(
        now,
        service.replicas_for(&lasting, scaling.target_utilization),
        scaling.stabilization,
    );
    let mut target = wanted;
    if wanted < replicas {
        let confidence = snapshot.outlook.map(|outlook| outlook.confidence);
        let unsure = confidence.is_none_or(|confidence| confidence < scaling.min_confidence);
        if unsure && !is_known_for_long(snapshot) {
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

/// The planned load according to the forecast, or the observed load without one.
fn forecast_load(snapshot: &Snapshot<'_>) -> (f64, ScalingReason, String) {
    let Snapshot { service, policy, now, interval, .. } = *snapshot;
    let lead =
        Span::from_millis(service.replica.startup.as_millis().saturating_add(interval.as_millis()));
    let window = Window { start: now, end: now + lead + interval };
    let observed = snapshot.observed.unwrap_or(0.0).max(0.0);
    let peak = snapshot.outlook.and_then(|outlook| outlook.peak(&policy.scaling, window));
    let evidence = evidence(snapshot);
    if snapshot.observed.is_some() && evidence < 1.0 {
        let cold = observed * (1.0 + policy.scaling.cold_start.headroom);
        let warm = peak.unwrap_or(cold).max(observed);
        let load = cold + evidence * (warm - cold);
        let text = format!(
            "{observed:.1} {} were observed, and {:.0}% are added, as a forecast has too little evidence ({:.0}%)",
            service.load_resource(),
            (load / observed.max(f64::MIN_POSITIVE) - 1.0).min(1e6) * 100.0,
            evidence * 100.0,
        );
        return (load, ScalingReason::Forecast, text);
    }
    match peak {
        // The observed load already exceeds the forecast maximum.
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

/// Whether the load is observed and has been for the stabilization window, so that a service can scale in
/// without a forecast.
fn is_known_for_long(snapshot: &Snapshot<'_>) -> bool {
    let policy = snapshot.policy;
    let steps = policy.scaling.stabilization.steps(policy.forecasting.step);
    snapshot.observed.is_some() && snapshot.known_steps as u64 > steps
}

/// The evidence for the forecast, from 0 (plan by the observed load) to 1 (plan by the forecast). It grows
/// with the known history from a quarter of the policy's cold start to its end, and with the confidence from
/// half of the policy's minimum to that minimum.
fn evidence(snapshot: &Snapshot<'_>) -> f64 {
    let Some(outlook) = snapshot.outlook else { return 0.0 };
    let scaling = &snapshot.policy.scaling;
    let ramp = |value: f64, from: f64, to: f64| match to > from {
        true => ((value - from) / (to - from)).clamp(0.0, 1.0),
        false => 1.0,
    };
    let end = f64::from(scaling.cold_start.steps);
    let known = ramp(snapshot.known_steps as f64, end / 4.0, end);
    let enough = scaling.min_confidence;
    known * ramp(outlook.confidence, enough / 2.0, enough)
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
            known_steps: 1000,
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
        // The forecast exceeds the request.
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
        for (outlook, known_steps, observed) in
            [(Some(&unsure), 5, Some(20.0)), (None, 5, Some(20.0)), (Some(&unsure), 1000, None)]
        {
            let now = snapshot(&service, &policy, outlook, 9, &nothing);
            let now = Snapshot { known_steps, observed, ..now };
            let found = target(&now, &mut Recent::default());
            assert_eq!((found.replicas, found.bound), (9, Some(Bound::Confidence)));
        }
        let sure = outlook(50.0, 1.0);
        let now = snapshot(&service, &policy, Some(&sure), 9, &nothing);
        assert_eq!(target(&now, &mut Recent::default()).replicas, 5);
        let mut recent = Recent::default();
        recent.push(Timestamp::from_millis(0), 7, Span::from_mins(5));
        let found = target(&now, &mut recent);
        assert_eq!((found.replicas, found.bound), (7, Some(Bound::Stabilization)));
    }

    #[test]
    fn a_service_with_little_history_is_planned_by_what_it_carries() {
        let (service, policy, nothing) = (service(), policy(), Quantities::new());
        let wild = outlook(400.0, 0.9);
        let planned = |outlook, known_steps| {
            let now = snapshot(&service, &policy, outlook, 2, &nothing);
            let found = target(&Snapshot { known_steps, ..now }, &mut Recent::default());
            found.load.get(Resource::RequestsPerSecond).round()
        };
        // 20 are observed, and 30% are added.
        assert_eq!((planned(None, 1), planned(None, 1000)), (26.0, 26.0));
        assert_eq!((planned(Some(&wild), 1), planned(Some(&wild), 15)), (26.0, 26.0));
        // The forecast counts by its evidence, and alone in the end.
        assert_eq!(planned(Some(&wild), 30), 26.0 + ((400.0 - 26.0) / 3.0_f64).round());
        assert_eq!((planned(Some(&wild), 60), planned(Some(&wild), 61)), (400.0, 400.0));
        let unsure = outlook(400.0, 0.05);
        assert_eq!(planned(Some(&unsure), 1000), 26.0);
    }

    #[test]
    fn a_service_without_a_forecast_scales_in_by_what_it_carries() {
        let (service, policy, nothing) = (service(), policy(), Quantities::new());
        let now = snapshot(&service, &policy, None, 9, &nothing);
        assert_eq!(target(&now, &mut Recent::default()).replicas, 3);
        let mut recent = Recent::default();
        recent.push(Timestamp::from_millis(0), 7, Span::from_mins(5));
        assert_eq!(target(&now, &mut recent).bound, Some(Bound::Stabilization));
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
