mod consulting;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use haggle_control::{EventKind, PluginState};
use haggle_model::Name;
use haggle_sandbox::{Forecast, Grant, Role, forecasting};
use haggle_store::Digest;
use serde_json::Value;

use crate::{
    Component, Components, Decided, Decider, Unanswered, UploadError, UploadPhase, context, replay,
    testing::{MISBEHAVING, NOW, World, name, sandbox},
};

type Forecasts = Vec<Result<Decided<forecasting::Outlook>, Unanswered>>;

/// Forecasts three series.
fn forecast_within(decider: &Decider, plugin: &str, time: Duration) -> Forecasts {
    let task = |item: &usize| forecasting::Task {
        series: forecasting::Series {
            id: format!("s{item}"),
            last_at_ms: 0,
            step_ms: 60_000,
            values: (0..30).map(|minute| f64::from(minute % 7)).collect(),
            non_negative: true,
        },
        model: None,
        horizon_steps: 2,
        seasons_steps: Vec::new(),
        levels: vec![0.8],
    };
    decider.each(NOW, &name(plugin), 3, time, |items, _| Forecast {
        context: context(NOW, 7),
        shared: None,
        tasks: items.iter().map(task).collect(),
        events: Vec::new(),
    })
}

fn forecast(world: &World, plugin: &str) -> Vec<String> {
    let by = |answer: Result<Decided<_>, Unanswered>| answer.unwrap().by.plugin.to_string();
    forecast_within(&world.decider, plugin, Duration::MAX).into_iter().map(by).collect()
}

const STAND_IN: &str = "seasonal-smoothing";

#[test]
fn an_item_that_is_nonsense_costs_the_others_nothing() {
    let world = World::new();
    world.misbehaving("p", "first", None);
    assert_eq!(forecast(&world, "p"), [STAND_IN, "p", "p"]);
    let events = world.events(EventKind::Fallback);
    assert_eq!(events.len(), 1);
    assert!(events[0].starts_with("p: 1 of 3 items: plugin p generation 1,"), "{events:?}");
    assert!(
        events[0].ends_with("; the built-in seasonal-smoothing answered instead"),
        "{events:?}"
    );
    assert_eq!(*world.seen.fallbacks.lock().unwrap(), 1);
    let last = world.decider.last_error(&name("p")).unwrap();
    assert_eq!((last.at, last.function), (NOW, "forecasting.forecast"));
    // A second failure within a minute emits no event.
    forecast(&world, "p");
    assert_eq!(world.events(EventKind::Fallback).len(), 1);
    assert_eq!(*world.seen.fallbacks.lock().unwrap(), 2);
}

/// The components of this world, for a replay.
struct Known(BTreeMap<Digest, Vec<u8>>);

impl Components for Known {
    type Error = String;

    fn component(&self, digest: &Digest) -> Result<Option<Vec<u8>>, String> {
        Ok(self.0.get(digest).cloned())
    }

    fn grants(&self, _: &Name, _: u64) -> Result<Vec<Grant>, String> {
        Ok(Vec::new())
    }
}

#[test]
fn every_call_is_journalled_and_repeats_bit_by_bit() {
    let world = World::new();
    world.misbehaving("p", "first", None);
    world.misbehaving("q", "trap", None);
    forecast(&world, "p");
    forecast(&world, "q");
    let builtin = haggle_builtin::BUILTIN.iter().find(|builtin| builtin.name == STAND_IN).unwrap();
    let mut known = Known(BTreeMap::new());
    known.0.insert(Digest::of(MISBEHAVING), MISBEHAVING.to_vec());
    let calls = world.seen.journal.lock().unwrap().clone();
    assert_eq!(calls.len(), 4);
    let replayed = |known: &Known, calls: Vec<_>| {
        replay(calls.into_iter().map(Ok), known, &sandbox(), &mut |_| {}).unwrap()
    };
    let report = replayed(&known, calls.clone());
    let gone: Vec<&str> = report.differing.iter().map(|call| call.what.as_str()).collect();
    assert!(gone.len() == 2 && gone.iter().all(|what| what.ends_with("is gone")), "{gone:?}");
    known.0.insert(Digest::of(builtin.bytes), builtin.bytes.to_vec());
    assert_eq!(replayed(&known, calls.clone()).differing, []);
    let mut forged = calls;
    forged[0].outcome = Ok(vec![1]);
    assert_eq!(replayed(&known, forged).differing[0].what, "another answer");
}

#[test]
fn a_generation_that_traps_is_not_asked_again_before_its_pause_is_over() {
    let world = World::new();
    world.misbehaving("p", "trap", None);
    for _ in 0..5 {
        assert_eq!(forecast(&world, "p"), [STAND_IN; 3]);
    }
    assert_eq!(world.calls("p"), 3);
    let by = world.decider.current(&name("p"), Role::Forecasting).unwrap();
    assert_eq!(world.decider.pauses(&by), Some(Duration::from_secs(60)));
    world.clock.advance(Duration::from_secs(60));
    forecast(&world, "p");
    assert_eq!(world.calls("p"), 4);
    assert_eq!(world.decider.pauses(&by), Some(Duration::from_secs(120)));
    let log = world.seen.log.lock().unwrap().join("\n");
    assert!(log.contains("told to"), "what a trapped call logged is passed on: {log:?}");
}

#[test]
fn a_lack_of_data_is_no_failure_and_has_the_built_in_plugin_asked_alone() {
    let world = World::new();
    let first = world.misbehaving("p", "first", None);
    world.misbehaving("p", "lack forecast", Some(&first));
    for _ in 0..5 {
        assert_eq!(forecast(&world, "p"), [STAND_IN; 3]);
    }
    assert_eq!(world.calls("p"), 5, "neither held back nor asked twice");
    assert_eq!(world.decider.last_error(&name("p")), None);
    assert_eq!(world.events(EventKind::Fallback), [""; 0]);
}

#[test]
fn the_generation_before_answers_what_the_current_one_does_not() {
    let world = World::new();
    let first = world.misbehaving("p", "first", None);
    world.misbehaving("p", "decline forecast", Some(&first));
    let answers = forecast_within(&world.decider, "p", Duration::MAX);
    let by: Vec<_> = answers.into_iter().map(|answer| answer.unwrap().by).collect();
    let by: Vec<_> = by.iter().map(|by| (by.plugin.as_str(), by.generation)).collect();
    assert_eq!(by, [(STAND_IN, 1), ("p", 1), ("p", 1)]);
}

#[test]
fn whoever_stalls_leaves_time_for_a_stand_in() {
    // This clock does not advance, so that a busy machine does not use up the fallback's share.
    let world = World::new();
    world.misbehaving("p", "loop", None);
    let decider = &world.decider;
    let answers = forecast_within(decider, "p", Duration::from_secs(2));
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().by.plugin == name(STAND_IN)));
    assert!(decider.last_error(&name("p")).unwrap().message.contains("did not answer within"));
    // A call with no time at all does not count as a failure.
    let late = forecast_within(decider, "p", Duration::ZERO);
    assert!(late.iter().all(|answer| matches!(answer, Err(Unanswered::Late(_)))), "{late:?}");
}

fn component(bytes: &[u8]) -> Component<'_> {
    Component { bytes, configuration: Value::Null, grants: &[] }
}

#[test]
fn generations_that_neither_decide_nor_did_before_are_dropped() {
    let World { uploads, decider, .. } = World::new();
    let plugin = name("p");
    let load = || uploads.load(&plugin, None, component(MISBEHAVING), NOW).unwrap();
    let numbers = || {
        let registry = decider.registry();
        let pair = [registry.current(&plugin), registry.previous(&plugin)];
        pair.map(|loaded| loaded.map(|loaded| loaded.who.generation))
    };
    let (first, first_record) = load();
    assert_eq!(numbers(), [None, None], "what is loaded does not decide yet");
    let weak = Arc::downgrade(&first.generation);
    drop(first);
    decider.promote(&plugin, Some(&first_record), None).unwrap();
    uploads.finish(&plugin, 1, Ok(()));
    assert_eq!(numbers(), [Some(1), None]);
    assert_eq!(uploads.status(&plugin).unwrap().phase, UploadPhase::Ready);
    let (_, second) = load();
    decider.promote(&plugin, Some(&second), Some(&first_record)).unwrap();
    assert_eq!(numbers(), [Some(2), Some(1)]);
    // Rolled back and forth.
    decider.promote(&plugin, Some(&first_record), Some(&second)).unwrap();
    assert_eq!(numbers(), [Some(1), Some(2)]);
    decider.promote(&plugin, Some(&second), Some(&first_record)).unwrap();
    // An upload that the core refuses.
    let (third, _) = load();
    let refused = Arc::downgrade(&third.generation);
    drop(third);
    uploads.finish(&plugin, 3, Err("a scaling policy needs its role".to_owned()));
    assert!(refused.upgrade().is_none());
    assert_eq!(uploads.status(&plugin).unwrap().phase, UploadPhase::Failed);
    let (_, fourth) = load();
    assert!(weak.upgrade().is_some());
    decider.promote(&plugin, Some(&fourth), Some(&second)).unwrap();
    assert!(weak.upgrade().is_none());
    let gone = decider.promote(&plugin, Some(&first_record), Some(&fourth)).unwrap_err();
    assert_eq!((gone.number, numbers()), (1, [None, Some(4)]));
    decider.promote(&plugin, None, None).unwrap();
    assert_eq!(numbers(), [None, None]);
}

#[test]
fn a_built_in_plugin_stands_behind_every_upload_of_its_name() {
    let World { uploads, decider, .. } = World::new();
    let plugin = name(STAND_IN);
    let (_, record) = uploads.load(&plugin, None, component(MISBEHAVING), NOW).unwrap();
    assert_eq!(record.number, 2);
    decider.promote(&plugin, Some(&record), None).unwrap();
    let candidates = decider.registry().candidates(&plugin, Role::Forecasting);
    let numbers: Vec<u64> = candidates.iter().map(|loaded| loaded.who.generation).collect();
    assert_eq!(numbers, [2, 1]);
    decider.promote(&plugin, None, Some(&record)).unwrap();
    assert_eq!(decider.registry().current(&plugin).unwrap().who.generation, 1);
    assert_eq!(decider.registry().previous(&plugin).unwrap().who.generation, 2);
    decider.promote(&plugin, None, None).unwrap();
    assert_eq!(decider.registry().current(&plugin).unwrap().who.generation, 1);
}

#[test]
fn numbers_are_above_all_that_decided_or_may() {
    let World { uploads, .. } = World::new();
    let plugin = name("p");
    let (_, mut record) = uploads.load(&plugin, None, component(MISBEHAVING), NOW).unwrap();
    record.number = 41;
    let known = PluginState { retired: vec![Arc::new(record)], ..PluginState::default() };
    let first = uploads.begin(&plugin, Some(&known)).unwrap();
    let second = uploads.begin(&plugin, Some(&known)).unwrap();
    assert_eq!((first.number(), second.number()), (42, 43));
    // Only the last number is reused if its upload fails.
    drop(first);
    assert_eq!(uploads.begin(&plugin, None).unwrap().number(), 44);
    drop(second);
    assert_eq!(uploads.begin(&plugin, None).unwrap().number(), 43);
}

#[test]
fn bad_uploads_say_why_and_too_many_are_refused() {
    let World { uploads, decider, .. } = World::new();
    let plugin = name("p");
    let error = uploads.load(&plugin, None, component(b"not at all"), NOW).unwrap_err();
    assert!(error.to_string().starts_with("plugin p: "), "{error}");
    let status = uploads.status(&plugin).unwrap();
    assert_eq!((status.phase, status.error), (UploadPhase::Failed, Some(error.to_string())));
    let configuration = Value::Bool(true);
    let component = Component { bytes: MISBEHAVING, configuration, grants: &[] };
    let error = uploads.load(&plugin, None, component, NOW).unwrap_err();
    assert!(matches!(error, UploadError::Configuration { .. }), "{error}");
    assert!(decider.registry().current(&plugin).is_none());

    let mut pending: Vec<_> = (0..8).map(|_| uploads.begin(&name("q"), None).unwrap()).collect();
    assert!(matches!(uploads.begin(&plugin, None), Err(UploadError::Busy(8))));
    pending.pop();
    assert!(uploads.begin(&plugin, None).is_ok());
}

#[test]
fn failures_are_remembered_up_to_a_bound_and_use_up_no_number() {
    let World { uploads, .. } = World::new();
    let plugin = |i: u64| name(&format!("p{i}"));
    for i in 0..70 {
        drop(uploads.begin(&plugin(i), None).unwrap());
    }
    assert_eq!(uploads.status(&plugin(5)), None);
    assert_eq!(uploads.status(&plugin(6)).unwrap().phase, UploadPhase::Failed);
    assert_eq!(uploads.begin(&plugin(0), None).unwrap().number(), 1);
    assert_eq!(uploads.begin(&plugin(69), None).unwrap().number(), 1);
}

#[test]
fn what_does_not_load_after_a_restart_is_left_out_and_said() {
    let before = World::new();
    let first = before.misbehaving("p", "", None);
    let second = before.misbehaving("p", "first", Some(&first));
    let mut lost = second.clone();
    lost.digest = Digest::of(b"lost").to_string();
    let state = |current, previous: Option<&haggle_control::Generation>| PluginState {
        current: Some(Arc::new(current)),
        previous: previous.map(|record| Arc::new(record.clone())),
        retired: Vec::new(),
    };
    let known: BTreeMap<Name, PluginState> =
        [(name("p"), state(second, Some(&first))), (name("q"), state(lost, None))].into();
    let World { uploads, decider, .. } = World::new();
    let errors = uploads.restore(known.iter(), &|digest| {
        let is_known = digest == Digest::of(MISBEHAVING).to_string();
        Ok(is_known.then(|| MISBEHAVING.to_vec()))
    });
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].starts_with("generation 2 of plugin q cannot be restored: its component"));
    assert_eq!(decider.registry().current(&name("p")).unwrap().who.generation, 2);
    assert_eq!(decider.registry().previous(&name("p")).unwrap().who.generation, 1);
    // A built-in plugin is the fallback.
    assert_eq!(decider.current(&name("q"), Role::Forecasting).unwrap().plugin, name(STAND_IN));
}
