//! Every accepted value of every kind of document survives a round trip.

use proptest::{collection::vec, option, prelude::*};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Alternative, CalendarEvent, ComputeUnit, DependencyDocument, Document, Endpoint, EventKind,
    EventTime, LeaseId, Name, Objective, Provider, Quantities, Replica, Replicas, Resource,
    ScalingPolicy, Service, Span, Strength, Tier, Timestamp,
};

/// Values at and around the bounds.
fn edges(most: u64) -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(1), Just(most), Just(most.saturating_add(1)), 0..=most, any::<u64>()]
}

fn span() -> impl Strategy<Value = Span> {
    prop_oneof![
        edges(Span::LONGEST.as_millis()).prop_map(Span::from_millis),
        (0_u64..100_000_000).prop_map(Span::from_millis),
    ]
}

fn moment() -> impl Strategy<Value = Timestamp> {
    edges(Timestamp::MAX.as_millis()).prop_map(Timestamp::from_millis)
}

fn name() -> impl Strategy<Value = Name> {
    "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?".prop_map(|text| Name::new(&text).unwrap())
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![any::<f64>(), 0.0..1.0, Just(Quantities::MAX), Just(1e6), Just(-0.0), Just(1.0)]
}

fn amounts() -> impl Strategy<Value = Quantities> {
    let resource = prop::sample::select(&Resource::ALL[..]);
    let amount = prop_oneof![Just(Quantities::MAX), Just(f64::MIN_POSITIVE), 0.0..=Quantities::MAX];
    vec((resource, amount), 0..8).prop_map(|pairs| Quantities::from_pairs(pairs).unwrap())
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{0,128}", "日{0,43}", ".{0,10}"]
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    (0_usize..=2039).prop_map(|n| Endpoint::new(format!("http://a{}", "/".repeat(n))).unwrap())
}

prop_compose! {
    fn service()(
        name in name(), requests in amounts(), capacity in amounts(), startup in span(),
        (min, max) in (0_u32..3, prop_oneof![Just(1_000_000), Just(1_000_001), 3_u32..9]),
        policy in name(), tier in prop::sample::select(vec![Tier::Gold, Tier::Bronze]),
        objective in option::of((number(), span())), weight in number(),
        location in option::of(text()), gpu_type in option::of(text()),
        endpoint in option::of(endpoint()),
    ) -> Service {
        let objective = objective.map(|(target, window)| Objective { target, window });
        let replica = Replica { requests, capacity, startup };
        let replicas = Replicas { min, max };
        Service {
            name, replica, replicas, policy, tier, objective, weight, location, gpu_type, endpoint,
        }
    }
}

prop_compose! {
    fn unit()(
        id in name(), count in prop_oneof![0_u32..9, Just(1_000_000)], resources in amounts(),
        gpu_type in option::of(text()), cost_per_hour in number(), performance in number(),
        interruption_rate in number(), interruption_notice in span(),
    ) -> ComputeUnit {
        ComputeUnit {
            id, count, resources, gpu_type, cost_per_hour, performance, interruption_rate,
            interruption_notice,
        }
    }
}

prop_compose! {
    fn provider()(
        name in name(), location in text(), selling in name(),
        endpoint in option::of(endpoint()), units in vec(unit(), 0..3),
    ) -> Provider {
        Provider { name, location, selling, endpoint, units }
    }
}

prop_compose! {
    fn event()(
        name in name(), services in vec(name(), 0..3),
        times in vec((moment(), option::of(moment()), option::of(span())), 0..4),
    ) -> CalendarEvent {
        let time = |(start, end, duration)| EventTime { start, end, duration };
        let times = times.into_iter().map(time).collect();
        CalendarEvent { name, event: EventKind::Campaign, services, times }
    }
}

prop_compose! {
    fn policy()(
        name in name(), spans in vec(span(), 11), seasons in vec(span(), 0..3),
        numbers in vec(number(), 7), budget in option::of(number()), max_rounds in 0_u32..102,
        usual in vec(prop::bool::weighted(0.8), 16),
    ) -> ScalingPolicy {
        let mut policy = ScalingPolicy { name, ..ScalingPolicy::default() };
        let ScalingPolicy { forecasting, failure_prediction, tiering, scaling, negotiation, .. } =
            &mut policy;
        forecasting.seasons = seasons;
        let fields = [
            &mut forecasting.step, &mut forecasting.horizon, &mut forecasting.history, &mut forecasting.refit,
            &mut failure_prediction.horizon, &mut tiering.every, &mut scaling.stabilization,
            &mut negotiation.deadline, &mut negotiation.lease, &mut negotiation.max_delay,
            &mut negotiation.preemption_notice,
        ];
        for ((field, span), usual) in fields.into_iter().zip(spans).zip(&usual) {
            if !usual { *field = span; }
        }
        let fields = [
            &mut failure_prediction.threshold, &mut failure_prediction.headroom, &mut scaling.target_utilization,
            &mut scaling.min_confidence, &mut negotiation.tolerance, &mut negotiation.burn_rate,
        ];
        for ((field, number), usual) in fields.into_iter().zip(numbers).zip(&usual[10..]) {
            if !usual { *field = number; }
        }
        negotiation.max_rounds = max_rounds;
        negotiation.alternatives = vec![Alternative::Delayed, Alternative::WithoutOptional];
        policy.ranking.budget_per_hour = budget;
        policy
    }
}

fn dependency() -> impl Strategy<Value = DependencyDocument> {
    (name(), name(), amounts()).prop_map(|(from, to, ratios)| DependencyDocument {
        from,
        to,
        strength: Strength::Optional,
        ratios,
    })
}

/// The value after it was written and read; `None` if it cannot be read.
fn again<T: Serialize + DeserializeOwned>(value: &T) -> Option<T> {
    serde_json::from_str(&serde_json::to_string(value).unwrap()).ok()
}

fn survives<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug + Clone>(
    value: &T,
    is_valid: bool,
    document: impl Fn(T) -> Document,
) -> Result<(), TestCaseError> {
    if is_valid {
        prop_assert_eq!(again(value), Some(value.clone()));
        let document = document(value.clone());
        prop_assert_eq!(again(&document), Some(document));
    } else if let Some(read) = again(value) {
        // A value that was read survives another round trip, valid or not.
        prop_assert_eq!(again(&read), Some(read));
    }
    Ok(())
}

proptest! {
    #[test]
    fn services_survive(service in service()) {
        survives(&service, service.validate().is_ok(), Document::Service)?;
        prop_assert!(!service.carries(u32::MAX).iter().any(|(_, x)| x > Quantities::MAX));
    }

    #[test]
    fn providers_survive(provider in provider()) {
        survives(&provider, provider.validate().is_ok(), Document::Provider)?;
    }

    #[test]
    fn events_survive(event in event()) {
        survives(&event, event.validate().is_ok(), Document::Event)?;
    }

    #[test]
    fn policies_survive(policy in policy()) {
        survives(&policy, policy.validate().is_ok(), |p| Document::Policy(Box::new(p)))?;
    }

    #[test]
    fn dependencies_survive(dependency in dependency()) {
        survives(&dependency, true, Document::Dependency)?;
    }
}

#[test]
fn ids_of_leases_are_bounded_where_they_are_read() {
    let read = |text: &str| serde_json::from_value::<LeaseId>(text.into());
    let longest = "x".repeat(LeaseId::MOST_BYTES);
    assert_eq!(read(&longest).unwrap(), LeaseId(longest));
    for bad in ["", "a\0b", &"x".repeat(LeaseId::MOST_BYTES + 1)] {
        let error = read(bad).unwrap_err().to_string();
        assert!(error.contains("1 to 255 bytes"), "{error}");
    }
}
