//! Stored values read back unchanged, for every kind of record and up to its limits.

use std::collections::BTreeMap;

use haggle_model::{
    Bound, CalendarEvent, ComputeUnit, Decision, Dependency, Endpoint, EventKind, EventTime, Lease,
    LeaseId, LeaseState, MOST_LABEL, Name, Objective, Owner, Provider, Quantities, Replica,
    Replicas, Resource, ScalingPolicy, ScalingReason, Service, Span, Strength, Tier, Timestamp,
    Window,
};
use proptest::{collection::vec, option, prelude::*};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::{at, name as known};
use crate::{
    Batch, Calendar, CallRecord, Decisions, Dependencies, Digest, FittedModel, GenerationStatus,
    GrantedDirectory, Kind, Leases, Log, MOST_JSON_DEPTH, Models, Negotiations, Outcome, Outcomes,
    PluginGeneration, Plugins, Policies, Providers, Sample, SeriesKey, Services, Store, StoreError,
};

fn name() -> impl Strategy<Value = Name> {
    "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?".prop_map(|text| known(&text))
}

fn moment() -> impl Strategy<Value = Timestamp> {
    let last = Timestamp::MAX.as_millis();
    prop_oneof![Just(0), Just(last), 0..=last].prop_map(at)
}

fn span() -> impl Strategy<Value = Span> {
    let longest = Span::LONGEST.as_millis();
    prop_oneof![Just(0), Just(longest), 0..=longest].prop_map(Span::from_millis)
}

fn number() -> impl Strategy<Value = f64> {
    let finite = any::<f64>().prop_filter("finite", |x| x.is_finite());
    prop_oneof![finite, Just(0.0), Just(f64::MAX), Just(f64::MIN_POSITIVE), Just(0.1)]
}

fn amounts() -> impl Strategy<Value = Quantities> {
    let resource = prop::sample::select(&Resource::ALL[..]);
    let amount = prop_oneof![Just(Quantities::MAX), Just(0.0), 0.0..=Quantities::MAX];
    vec((resource, amount), 0..8).prop_map(|pairs| Quantities::from_pairs(pairs).unwrap())
}

fn label() -> impl Strategy<Value = String> {
    prop_oneof![Just("x".repeat(MOST_LABEL)), Just("日".repeat(42)), "\\PC{0,12}"]
}

/// Arbitrary text, as plugins and parties may send it.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), Just("\0\u{1f}\"\\\u{10ffff}".repeat(2000)), Just(String::new())]
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<u64>().prop_map(|seed| Digest::of(&seed.to_be_bytes()))
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(json!(1), |inner, _| json!([inner]))
}

fn json() -> impl Strategy<Value = Value> {
    let number = number().prop_map(Value::from);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        number,
        any::<String>().prop_map(Value::from),
        Just(nested(MOST_JSON_DEPTH)),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    let path = prop_oneof![Just(2038), 0..2039_usize];
    path.prop_map(|n| Endpoint::new(format!("http://a/{}", "x".repeat(n))).unwrap())
}

prop_compose! {
    fn service()(
        name in name(), requests in amounts(), capacity in amounts(), startup in span(),
        min in any::<u32>(), policy in name(), objective in option::of((number(), span())),
        weight in number(), location in option::of(label()), gpu_type in option::of(label()),
        endpoint in option::of(endpoint()),
    ) -> Service {
        let objective = objective.map(|(target, window)| Objective { target, window });
        let replica = Replica { requests, capacity, startup };
        let replicas = Replicas { min, max: u32::MAX };
        let tier = Tier::Bronze;
        Service {
            name, replica, replicas, policy, tier, objective, weight, location, gpu_type, endpoint,
        }
    }
}

prop_compose! {
    fn provider()(
        name in name(), location in label(), selling in name(),
        endpoint in option::of(endpoint()),
        units in vec((name(), any::<u32>(), amounts(), option::of(label()), number(), span()), 0..4),
    ) -> Provider {
        let unit = |(id, count, resources, gpu_type, cost_per_hour, interruption_notice)| ComputeUnit {
            id, count, resources, gpu_type, cost_per_hour, performance: 0.1, interruption_rate: 1.0,
            interruption_notice,
        };
        let units = units.into_iter().map(unit).collect();
        Provider { name, location, selling, endpoint, units }
    }
}

prop_compose! {
    fn policy()(
        name in name(), plugin in name(), spans in vec(span(), 5), levels in vec(number(), 0..33),
        seasons in vec(span(), 0..17), budget in option::of(number()), threshold in number(),
    ) -> ScalingPolicy {
        let mut policy = ScalingPolicy { name, ..ScalingPolicy::default() };
        policy.forecasting.plugin = plugin;
        policy.forecasting.levels = levels;
        policy.forecasting.seasons = seasons;
        policy.forecasting.horizon = spans[0];
        policy.failure_prediction.horizon = spans[1];
        policy.failure_prediction.threshold = threshold;
        policy.tiering.every = spans[2];
        policy.negotiation.lease = spans[3];
        policy.negotiation.preemption_notice = spans[4];
        policy.ranking.budget_per_hour = budget;
        policy
    }
}

prop_compose! {
    fn event()(
        name in name(), services in vec(name(), 0..4),
        times in vec((moment(), option::of(moment()), option::of(span())), 0..5),
    ) -> CalendarEvent {
        let time = |(start, end, duration)| EventTime { start, end, duration };
        let times = times.into_iter().map(time).collect();
        CalendarEvent { name, event: EventKind::Other, services, times }
    }
}

prop_compose! {
    fn generation()(
        plugin in name(), generation in any::<u64>(), digest in digest(), size in any::<u64>(),
        loaded_at in moment(), roles in vec(text(), 0..3), configuration in json(),
        granted in vec((text(), text(), any::<bool>()), 0..3),
    ) -> PluginGeneration {
        let grant = |(guest, host, writable)| GrantedDirectory { guest, host, writable };
        let granted = granted.into_iter().map(grant).collect();
        let status = GenerationStatus::Retired;
        PluginGeneration {
            plugin, generation, digest, size, loaded_at, roles, configuration, status, granted,
        }
    }
}

prop_compose! {
    fn lease()(
        id in prop_oneof![Just("x".repeat(LeaseId::MOST_BYTES)), "\\PC{1,60}"],
        negotiation in text(), holder in name(), provider in option::of((name(), name())),
        amounts in amounts(), replicas in any::<u32>(), price_per_hour in number(),
        start in moment(), end in moment(), held_until in moment(),
    ) -> Lease {
        let owner = match provider {
            Some((provider, unit)) => Owner::Unit { provider, unit },
            None => Owner::Service(holder.clone()),
        };
        let (window, state) = (Window { start, end }, LeaseState::Expired);
        Lease {
            id: LeaseId(id), negotiation, holder, owner, amounts, replicas, price_per_hour, window,
            state, held_until,
        }
    }
}

prop_compose! {
    fn decision()(
        at in moment(), service in name(), from in any::<u32>(), to in any::<u32>(),
        load in amounts(), negotiation in option::of(text()), explanation in text(),
        bound in option::of(Just(Bound::Stabilization)),
    ) -> Decision {
        let (sequence, target, reason) = (1, to, ScalingReason::LeaseEnded);
        Decision {
            sequence, at, service, from, to, target, reason, load, bound, negotiation, explanation,
        }
    }
}

prop_compose! {
    fn call()(
        at in moment(), plugin in name(), generation in any::<u64>(), digest in digest(),
        function in text(), input in prop_oneof![0..5_usize, 4094..4098_usize, Just(100_000)],
        output in prop_oneof![0..5_usize, 4094..4098_usize], failed in option::of(text()),
        fuel_used in any::<u64>(),
    ) -> CallRecord {
        let outcome = failed.map_or_else(|| Ok(vec![7; output]), Err);
        CallRecord {
            sequence: 1, at, plugin, generation, digest, function, input: vec![9; input],
            blobs: Vec::new(), outcome, fuel_used,
        }
    }
}

fn kept<K: Kind>(key: K::Key, value: &K::Value) -> Result<(), TestCaseError>
where
    K::Key: PartialEq + std::fmt::Debug,
    K::Value: PartialEq + std::fmt::Debug,
{
    let store = Store::in_memory().unwrap();
    let mut batch = Batch::new();
    batch.put::<K>(&key, value).map_err(|e| TestCaseError::fail(e.to_string()))?;
    store.commit_wait(batch).unwrap();
    let read = store.get::<K>(&key).unwrap();
    prop_assert_eq!(read.as_ref(), Some(value));
    let scanned: Vec<_> = store.scan::<K>().map(Result::unwrap).collect();
    prop_assert_eq!(scanned.len(), 1);
    prop_assert_eq!(&scanned[0].0, &key);
    prop_assert_eq!(&scanned[0].1, value);
    Ok(())
}

fn appended<L: Log>(record: &L::Record) -> Result<(), TestCaseError>
where
    L::Record: PartialEq + std::fmt::Debug,
{
    let store = Store::in_memory().unwrap();
    let mut batch = Batch::new();
    batch.append::<L>(record).map_err(|e| TestCaseError::fail(e.to_string()))?;
    store.commit_wait(batch).unwrap();
    let read = store.after::<L>(0, 9).unwrap();
    prop_assert_eq!(read.len(), 1);
    prop_assert_eq!(&read[0], record);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn services(value in service()) { kept::<Services>(value.name.clone(), &value)?; }

    #[test]
    fn dependencies(from in name(), to in name(), ratios in amounts()) {
        kept::<Dependencies>((from, to), &Dependency { strength: Strength::BestEffort, ratios })?;
    }

    #[test]
    fn providers(value in provider()) { kept::<Providers>(value.name.clone(), &value)?; }

    #[test]
    fn policies(value in policy()) { kept::<Policies>(value.name.clone(), &value)?; }

    #[test]
    fn plugins(value in generation()) {
        kept::<Plugins>((value.plugin.clone(), value.generation), &value)?;
    }

    #[test]
    fn models(
        plugin in digest(), subject in "\\PC{0,80}", fitted_at in moment(),
        model in vec(any::<u8>(), 0..9000), shared in option::of(digest()),
        lookback in option::of(any::<u32>()),
    ) {
        kept::<Models>((plugin, subject), &FittedModel { fitted_at, model, shared, lookback })?;
    }

    #[test]
    fn leases(value in lease()) { kept::<Leases>(value.id.clone(), &value)?; }

    #[test]
    fn negotiations(id in "[\0-z]{0,60}", value in json()) { kept::<Negotiations>(id, &value)?; }

    #[test]
    fn events(value in event()) { kept::<Calendar>(value.name.clone(), &value)?; }

    #[test]
    fn decisions(value in decision()) { appended::<Decisions>(&value)?; }

    #[test]
    fn outcomes(at in moment(), instance in text(), kind in text(), detail in json()) {
        appended::<Outcomes>(&Outcome { sequence: 1, at, instance, kind, detail })?;
    }

    #[test]
    fn calls(value in call()) {
        let store = Store::in_memory().unwrap();
        let mut batch = Batch::new();
        batch.call(&value, &[]).unwrap();
        store.commit_wait(batch).unwrap();
        let read: Vec<_> = store.calls(0).unwrap().map(Result::unwrap).collect();
        prop_assert_eq!(read, [value]);
    }

    #[test]
    fn samples(
        service in name(), metric in "[a-z]{1,128}", instance in "\\PC{0,46}",
        samples in prop::collection::btree_map(
            prop_oneof![0..Timestamp::MAX.as_millis(), Just(Timestamp::MAX.as_millis() - 1)],
            any::<u64>().prop_map(f64::from_bits), 1..20,
        ),
    ) {
        let store = Store::in_memory().unwrap();
        let series = SeriesKey { service, metric, instance };
        let samples: Vec<_> =
            samples.into_iter().map(|(t, value)| Sample { at: at(t), value }).collect();
        let mut batch = Batch::new();
        batch.samples(&series, &samples).unwrap();
        store.commit_wait(batch).unwrap();
        let bits = |samples: &[Sample]| -> Vec<_> {
            samples.iter().map(|sample| (sample.at, sample.value.to_bits())).collect()
        };
        let whole = Window { start: at(0), end: Timestamp::MAX };
        prop_assert_eq!(bits(&store.samples(&series, whole).unwrap()), bits(&samples));
        prop_assert_eq!(store.series().map(Result::unwrap).collect::<Vec<_>>(), [series]);
    }
}

/// Serializer output that a [`Value`] cannot represent: non-finite numbers, keys that are not text, 128-bit
/// integers, bytes.
#[derive(Serialize)]
struct Anything {
    floats: Vec<f64>,
    single: f32,
    by_number: BTreeMap<i64, Option<char>>,
    wide: (u128, i128),
    bytes: Bytes,
    inner: Value,
}

struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_written_as_a_negotiation_reads_back(
        floats in vec(any::<u64>().prop_map(f64::from_bits), 0..9), single in any::<u32>(),
        by_number in prop::collection::btree_map(any::<i64>(), any::<Option<char>>(), 0..4),
        wide in any::<(u128, i128)>(), bytes in vec(any::<u8>(), 0..9), inner in json(),
    ) {
        let single = f32::from_bits(single);
        let value = Anything { floats, single, by_number, wide, bytes: Bytes(bytes), inner };
        let store = Store::in_memory().unwrap();
        let mut batch = Batch::new();
        batch.put_as::<Negotiations>(&"n".to_owned(), &value).unwrap();
        store.commit_wait(batch).unwrap();
        let read = store.get::<Negotiations>(&"n".to_owned()).unwrap().unwrap();
        let text = serde_json::to_vec(&value).unwrap();
        prop_assert_eq!(read, serde_json::from_slice::<Value>(&text).unwrap());
    }
}

#[test]
fn what_would_not_be_read_again_is_refused() {
    let mut batch = Batch::new();
    let lease = Lease { price_per_hour: f64::NAN, ..super::lease("l") };
    let refused = batch.put::<Leases>(&lease.id, &lease).map(|_| ());
    assert!(matches!(refused, Err(StoreError::Irreversible { what: "lease", .. })), "{refused:?}");
    let mut decision = super::decision("why");
    decision.negotiation = Some("n".to_owned());
    assert!(batch.append::<Decisions>(&decision).is_ok());
    let key = "n".to_owned();
    assert!(batch.put::<Negotiations>(&key, &nested(100)).is_ok());
    let refused = batch.put::<Negotiations>(&key, &nested(101)).map(|_| ());
    assert!(matches!(refused, Err(StoreError::TooDeep { depth: 101, most: 100, .. })));
    assert!(matches!(
        batch.put::<Negotiations>(&key, &nested(1000)),
        Err(StoreError::TooDeep { .. })
    ));
    assert_eq!(batch.operations.len(), 2, "what is refused is not in the batch");
}
