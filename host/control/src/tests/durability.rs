//! The order of durability: no effect leaves the core before the state that it reports is durable.

use haggle_model::Span;
use serde_json::json;

use crate::{
    Answer, ControlError, Effect, ErrorKind, Input, Scope, Verdict,
    testing::{PASS, World, name},
};

fn world() -> World {
    let mut world = World::new();
    world.policy(json!({"alternatives": ["partial"], "lease": "4m", "renew_before": "1m"}));
    world.provider("rack", &[("m", 5)], 1.0);
    world.service("web", "silver");
    world.service("db", "silver");
    world.depend("web", "db", 1.0);
    world
}

/// The number of answers, actions, messages and events so far.
fn gone_out(world: &World) -> [usize; 4] {
    [world.answers.len(), world.actions.len(), world.delivered.len(), world.events.len()]
}

#[test]
fn effects_wait_until_what_they_say_is_durable() {
    let mut world = world();
    let before = gone_out(&world);
    let version = world.control.version();
    world.hold_commits();
    let first = world.begin(json!({"service": "web", "replicas": 5}), false);
    let second = world.begin(json!({"service": "nobody", "replicas": 5}), false);
    // Plugins have answered in the meantime, and everything is agreed.
    assert_eq!(world.control.newest().open_sessions(), 0);
    assert!(world.held_commits() > 0);
    assert_eq!(gone_out(&world), before);
    assert_eq!(world.control.version(), version);
    assert!(world.control.snapshot().leases(world.now).next().is_none());
    world.release();
    assert!(matches!(world.answer(first), Ok(Answer::Verdict(verdict)) if verdict.to == 5));
    assert_eq!(world.answer(second).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(world.control.version() > version);
    assert_eq!((world.replicas("web"), world.replicas("db")), (5, 5));
}

#[test]
fn effects_of_several_steps_come_in_their_order() {
    let mut world = world();
    world.hold_commits();
    let callers: Vec<_> = (1..4)
        .map(|n| world.begin(json!({"service": "web", "replicas": 2 * n, "duration": "1m"}), true))
        .collect();
    let held = world.held_commits();
    assert!(held >= 3, "{held}");
    let mut answered = 0;
    for _ in 0..held {
        world.release_some(1);
        let now = callers.iter().filter(|caller| world.answers.contains_key(caller)).count();
        assert!(now >= answered);
        let in_order = callers.iter().take(now).all(|caller| world.answers.contains_key(caller));
        assert!(in_order);
        answered = now;
    }
    assert_eq!(answered, 3);
    world.release();
}

#[test]
fn what_writes_nothing_waits_behind_what_does() {
    let mut world = world();
    world.hold_commits();
    world.begin(json!({"service": "web", "replicas": 5}), false);
    let count = world.held_commits();
    let caller = world.caller();
    world.step(Input::Cancel { caller, id: "no-such".to_owned() });
    assert_eq!(world.held_commits(), count);
    assert!(!world.answers.contains_key(&caller), "what it found may be undone");
    world.release();
    assert_eq!(world.answer(caller).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn plugins_are_asked_at_once() {
    let mut world = world();
    let caller = world.caller();
    let request = serde_json::from_value(json!({"service": "web", "replicas": 5})).unwrap();
    let (arrived, request) = (world.now, Box::new(request));
    let input = Input::Request { caller, request, arrived, respond_early: false };
    let effects = world.control.step(world.now, input);
    let kinds: Vec<_> = effects.iter().map(|e| matches!(e, Effect::Consult(_))).collect();
    assert_eq!(kinds, [true, false], "{effects:?}");
    assert!(matches!(effects[1], Effect::Commit { .. }));
}

#[test]
fn a_failed_commit_undoes_everything_and_answers_with_an_error() {
    let mut world = world();
    world.ask(json!({"service": "db", "replicas": 2, "duration": "1h"}));
    let (disk, before) = (world.disk.records.clone(), world.control.newest().clone());
    let actions = world.actions.len();
    world.hold_commits();
    let first = world.begin(json!({"service": "web", "replicas": 5}), false);
    let second = world.begin(json!({"service": "db", "replicas": 6, "duration": "1m"}), true);
    let third = world.caller();
    world.step(Input::Cancel { caller: third, id: "no-such".to_owned() });
    world.fail_next_commit();
    world.release();
    for caller in [first, second, third] {
        let error = world.answer(caller).unwrap_err();
        assert!(matches!(error, ControlError::Store(_)), "{error}");
        assert_eq!(error.kind(), ErrorKind::Internal);
    }
    assert_eq!(world.disk.records, disk);
    assert_eq!(world.actions.len(), actions);
    world.control.newest().same_durable(&before).unwrap();
    assert!(world.control.is_settled());
    // Later steps work again.
    assert_eq!(world.ask(json!({"service": "web", "replicas": 5})).to, 5);
    assert_eq!((world.replicas("web"), world.replicas("db")), (5, 5));
    world.pass(Span::from_mins(3));
    world.restart();
    assert_eq!(world.replicas("web"), 5);
}

#[test]
fn whoever_waits_since_before_a_failure_goes_on_waiting() {
    let mut world = world();
    world.plugins.insert(name("price-performance"), crate::testing::Manner::Silent);
    let caller = world.begin(json!({"service": "web", "replicas": 5}), false);
    assert!(world.answers.is_empty() || !world.answers.contains_key(&caller));
    world.plugins.clear();
    world.fail_next_commit();
    // The question is repeated and answered, but the agreement cannot be written.
    world.pass(Span::from_secs(1));
    world.pass(Span::from_secs(20));
    let Ok(Answer::Verdict(verdict)) = world.answer(caller) else { panic!() };
    assert_eq!((verdict.verdict, verdict.to), (Verdict::Approved, 5));
}

#[test]
fn while_the_store_fails_what_is_due_is_tried_less_and_less_often() {
    let mut world = world();
    world.plugins.insert(name("price-performance"), crate::testing::Manner::Silent);
    world.begin(json!({"service": "web", "replicas": 5}), false);
    let mut rests = Vec::new();
    let mut now = world.control.next_due(world.now).unwrap() + Span::from_mins(5);
    while rests.len() < 8 {
        let effects = world.control.step(now, Input::Tick);
        let commits = effects.into_iter().filter_map(|effect| match effect {
            Effect::Commit { id, .. } => Some(id),
            _ => None,
        });
        // The session has ended, but that cannot be written.
        let id = commits.last().unwrap();
        world.control.step(now, Input::CommitFailed(id, "disk full".to_owned()));
        let due = world.control.next_due(now).unwrap();
        assert_eq!(world.control.step(now, Input::Tick), []);
        rests.push(due.since(now));
        now = due;
    }
    assert_eq!((rests[0], rests[1]), (Span::from_millis(100), Span::from_millis(200)));
    assert_eq!(rests[7], Span::from_secs(2));
    let before = now.before(Span::from_mins(60));
    assert!(world.control.next_due(before).unwrap() < now, "a clock that was set back");
}

#[test]
fn a_late_answer_about_what_was_undone_is_no_answer_to_something_else() {
    let mut world = world();
    let begin = |world: &mut World, service: &str| {
        let caller = world.caller();
        let request = json!({"service": service, "replicas": 5});
        let request = Box::new(serde_json::from_value(request).unwrap());
        let arrived = world.now;
        let input = Input::Request { caller, request, arrived, respond_early: false };
        world.control.step(world.now, input)
    };
    let effects = begin(&mut world, "web");
    let [Effect::Consult(first), Effect::Commit { id, .. }] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    world.control.step(world.now, Input::CommitFailed(*id, "disk full".to_owned()));
    let effects = begin(&mut world, "db");
    let Effect::Consult(second) = &effects[0] else { panic!("{effects:?}") };
    assert_ne!(first.messages[0].session, second.messages[0].session);
}

#[test]
fn a_failed_pass_loses_no_reservation_that_was_taken_up() {
    let mut world = world();
    let start = world.now + Span::from_secs(45);
    let request = json!({"service": "web", "replicas": 7, "start": start, "duration": "5m"});
    assert_eq!(world.ask(request).verdict, Verdict::Approved);
    world.pass(Span::from_secs(40));
    world.now = start + Span::from_secs(5);
    world.fail_next_commit();
    world.step(Input::Reconcile(Scope::All));
    assert_eq!(world.replicas("web"), 1, "it could not be written");
    world.step(Input::Reconcile(Scope::All));
    assert_eq!((world.replicas("web"), world.replicas("db")), (7, 7));
    world.pass(PASS);
    world.restart();
    assert_eq!((world.replicas("web"), world.replicas("db")), (7, 7));
}

#[test]
fn nothing_that_is_staged_is_lost_by_a_report_about_what_has_failed() {
    let mut world = world();
    world.hold_commits();
    world.begin(json!({"service": "web", "replicas": 5}), false);
    world.begin(json!({"service": "db", "replicas": 9, "duration": "1m"}), false);
    world.fail_next_commit();
    world.release_some(1);
    let late = world.begin(json!({"service": "web", "replicas": 3}), false);
    // Only now are the commits behind the failed one reported.
    world.release();
    let Ok(Answer::Verdict(verdict)) = world.answer(late) else { panic!() };
    assert_eq!(verdict.to, 3);
    assert_eq!(world.replicas("web"), 3);
}

#[test]
fn a_request_is_answered_early_once_it_is_durable_and_known_after_a_restart() {
    let mut world = world();
    world.plugins.insert(name("price-performance"), crate::testing::Manner::Silent);
    let start = world.now + Span::from_mins(10);
    let windows = json!([
        {"start": start, "duration": "5m", "replicas": 3},
        {"start": start + Span::from_mins(10), "duration": "5m", "replicas": 4},
    ]);
    let caller = world.begin(json!({"service": "web", "windows": windows}), true);
    let Ok(Answer::Accepted(progress)) = world.answer(caller) else { panic!() };
    assert!(progress.pending);
    world.restart();
    let progress = world.progress(&progress.negotiation).unwrap();
    let verdict = progress.verdict.unwrap();
    assert_eq!((progress.pending, verdict.verdict), (false, Verdict::Denied));
    assert_eq!(verdict.windows.len(), 2);
    assert!(verdict.windows[0].reasons[0].text.contains("stopped"), "{verdict:?}");
}
