//! Remote parties, and faulty plugins.

use haggle_model::Span;
use haggle_negotiate::{Content, Party};
use serde_json::json;

use crate::{
    Answer, Caller, EventKind, Key, Verdict,
    testing::{Manner, Script, World, name},
};

const CART: &str = "http://cart:9000/";

fn world() -> World {
    let mut world = World::new();
    world.policy(json!({"alternatives": ["partial"], "lease": "4m", "renew_before": "1m", "deadline": "20s"}));
    world.provider("rack", &[("m", 10)], 1.0);
    world.service("web", "silver");
    world.service("other", "silver");
    world
}

/// A world with a remote service that `web` depends on.
fn with_cart(script: Script) -> World {
    let mut world = world();
    let more = json!({"endpoint": CART, "replica": {"capacity": {"requests_per_second": 10}}});
    world.service_with("cart", more);
    world.parties.insert(CART.to_owned(), script);
    world.depend("web", "cart", 1.0);
    world
}

fn verdict(world: &World, caller: Caller) -> crate::ScalingVerdict {
    match world.answer(caller) {
        Ok(Answer::Verdict(verdict)) => verdict,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_party_elsewhere_hears_of_each_window_and_that_it_is_cancelled() {
    let mut world = with_cart(Script::Agreeable);
    let windows = json!([
        {"start": world.at_minute(60), "duration": "10m", "replicas": 5},
        {"start": world.at_minute(120), "duration": "10m", "replicas": 6},
    ]);
    let verdict = world.ask(json!({"service": "web", "windows": windows}));
    assert_eq!((verdict.verdict, verdict.to), (Verdict::Approved, 6), "{verdict:?}");
    let held = |world: &World, n: usize| {
        let of = verdict.windows[n].negotiation.clone().unwrap();
        let cart = haggle_model::Owner::Service(name("cart"));
        world.leases("web").iter().filter(|l| l.owner == cart && l.negotiation == of).count()
    };
    assert_eq!((held(&world, 0), held(&world, 1)), (1, 1));
    assert_eq!(world.disk.count(|key| matches!(key, Key::Session(_))), 0, "all have been told");
    let first = verdict.windows[0].negotiation.clone().unwrap();
    world.delivered.clear();
    world.cancel(&first).unwrap();
    assert_eq!((held(&world, 0), held(&world, 1)), (0, 1));
    let told = |m: &&haggle_negotiate::Message| {
        matches!(m.content, Content::Release { .. }) && m.session == first
    };
    assert_eq!(world.delivered.iter().filter(told).count(), 1);
    let again =
        json!({"service": "web", "replicas": 2, "start": world.at_minute(61), "duration": "1m"});
    assert_eq!(world.ask(again).verdict, Verdict::Approved);
}

#[test]
fn whoever_was_not_told_of_an_agreement_is_told_after_a_restart() {
    let mut world = with_cart(Script::Agreeable);
    world.hold_commits();
    let caller = world.begin(json!({"service": "web", "replicas": 5}), false);
    world.release_some(1);
    let count = world.held_commits();
    world.release_some(count.saturating_sub(1));
    while !world.answers.contains_key(&caller) && world.held_commits() > 0 {
        world.release_some(1);
    }
    world.release();
    assert_eq!(verdict(&world, caller).to, 5);
    world.parties.insert(CART.to_owned(), Script::Silent);
    let second = world.begin(json!({"service": "web", "replicas": 7}), false);
    world.parties.insert(CART.to_owned(), Script::Agreeable);
    world.pass(Span::from_secs(20));
    assert_eq!(verdict(&world, second).to, 7);
    // The party gets the confirmation and does not acknowledge it.
    world.delivered.clear();
    world.restart();
    let records = world.disk.count(|key| matches!(key, Key::Session(_)));
    assert_eq!(records, 0, "all have been told: {:?}", world.delivered);
}

#[test]
fn a_party_that_never_answers_ends_the_session_by_its_deadline_and_nothing_else() {
    for script in [Script::Silent, Script::Unreachable] {
        let mut world = with_cart(script);
        let caller = world.begin(json!({"service": "web", "replicas": 5}), false);
        assert!(!world.answers.contains_key(&caller));
        assert_eq!(world.ask(json!({"service": "other", "replicas": 5})).to, 5);
        world.pass(Span::from_secs(21));
        let verdict = verdict(&world, caller);
        assert_eq!(verdict.verdict, Verdict::Denied);
        assert!(verdict.reasons.iter().any(|why| why.text.contains("no answer")), "{verdict:?}");
        let held = |lease: &haggle_model::Lease| lease.state == haggle_model::LeaseState::Held;
        assert!(!world.state().ledger().leases().any(held));
        world.pass(Span::from_mins(2));
        world.restart();
        world.pass(Span::from_mins(1));
        assert_eq!(world.replicas("other"), 5);
    }
}

#[test]
fn a_party_that_offers_less_gets_less() {
    let mut world = with_cart(Script::Offers(0.5));
    let verdict = world.ask(json!({"service": "web", "replicas": 8}));
    assert_eq!(verdict.verdict, Verdict::Reduced);
    assert!((1..8).contains(&verdict.to), "{verdict:?}");
}

#[test]
fn a_party_that_does_not_hold_what_it_accepted_leaves_nothing_behind() {
    let mut world = with_cart(Script::Faithless);
    let caller = world.begin(json!({"service": "web", "replicas": 5}), false);
    world.pass(Span::from_secs(25));
    assert_eq!(verdict(&world, caller).verdict, Verdict::Denied);
    let first = verdict(&world, caller).negotiation;
    assert!(world.state().ledger().leases().all(|lease| lease.negotiation != first));
    assert!(world.replicas("web") <= 1);
}

#[test]
fn a_stalled_plugin_only_affects_its_own_services() {
    let mut world = world();
    let policy = json!({"name": "slow", "answering": {"plugin": "other"}, "ranking": {"plugin": "other"},
                        "scaling": {"target_utilization": 1.0},
                        "negotiation": {"deadline": "20s"}});
    world.change(crate::Change::PutPolicy(serde_json::from_value(policy).unwrap())).unwrap();
    world.service_with("slow", json!({"policy": "slow"}));
    world.service_with("slow-db", json!({"policy": "slow"}));
    world.depend("slow", "slow-db", 1.0);
    world.plugins.insert(name("other"), Manner::Silent);
    let stalled = world.begin(json!({"service": "slow", "replicas": 5}), false);
    world.load("web", 45.0);
    world.reconcile();
    assert_eq!(world.replicas("web"), 5);
    world.pass(Span::from_secs(9));
    assert!(!world.answers.contains_key(&stalled));
    world.pass(Span::from_secs(11));
    assert_eq!(verdict(&world, stalled).verdict, Verdict::Denied);
    let open = world.state().sessions.values();
    assert!(open.map(|session| &session.demand).all(|demand| {
        let deadline = demand.started_at + demand.policy.deadline;
        demand.requester.as_str().starts_with("slow") && world.now < deadline
    }));
    // The plugin answers again.
    world.plugins.clear();
    assert_eq!(world.ask(json!({"service": "slow", "replicas": 5})).to, 5);
}

#[test]
fn plugins_that_refuse_fail_or_talk_nonsense_harm_nobody() {
    for manner in [Manner::Refusing, Manner::Failing, Manner::Absurd] {
        let mut world = world();
        world.service("db", "silver");
        world.depend("web", "db", 1.0);
        world.plugins.insert(name("price-performance"), manner);
        let caller = world.begin(json!({"service": "web", "replicas": 5}), false);
        world.pass(Span::from_secs(30));
        let verdict = verdict(&world, caller);
        assert_eq!(verdict.verdict, Verdict::Denied, "{manner:?}: {verdict:?}");
        assert!(!verdict.reasons.is_empty());
        assert_eq!(world.state().ledger().leases().count(), 0, "{manner:?}");
        if manner == Manner::Absurd {
            assert!(world.events.iter().any(|event| event.kind == EventKind::Fault));
        }
        world.plugins.clear();
        assert_eq!(world.ask(json!({"service": "web", "replicas": 5})).to, 5);
    }
}

#[test]
fn sessions_of_one_service_at_once_leave_one_agreement() {
    let mut world = world();
    world.plugins.insert(name("price-performance"), Manner::Silent);
    let callers: Vec<_> =
        [4, 9, 6].map(|n| world.begin(json!({"service": "web", "replicas": n}), false)).into();
    assert_eq!(world.state().open_sessions(), 3);
    world.plugins.clear();
    world.pass(Span::from_secs(20));
    let verdicts: Vec<_> = callers.iter().map(|caller| verdict(&world, *caller)).collect();
    assert!(verdicts.iter().all(|one| one.verdict == Verdict::Approved), "{verdicts:?}");
    let placed: u32 = world.places("web").iter().map(|place| place.1).sum();
    assert_eq!(placed, world.replicas("web"));
    assert!([4, 9, 6].contains(&placed), "{placed}");
}

#[test]
fn messages_that_nobody_waits_for_are_refused() {
    let mut world = with_cart(Script::Silent);
    let caller = world.begin(json!({"service": "web", "replicas": 5}), false);
    let question =
        world.delivered.iter().find(|m| m.to == Party::Service(name("cart"))).unwrap().clone();
    let stranger = world.caller();
    let mut stray = question.reply(Content::Refuse { reason: "no".to_owned() }, world.now);
    stray.session = "host-000000009999".to_owned();
    world.step(crate::Input::Message { caller: stranger, message: Box::new(stray) });
    assert_eq!(world.answer(stranger).unwrap_err().kind(), crate::ErrorKind::NotFound);
    let unreadable = world.caller();
    world.step(crate::Input::Unreadable {
        caller: Some(unreadable),
        session: question.session.clone(),
        from: question.to.clone(),
        about: question.message,
        why: "not JSON".to_owned(),
    });
    assert!(world.answer(unreadable).unwrap_err().to_string().contains("not JSON"));
    // Its unprompted answer counts all the same.
    let late = world.caller();
    world.parties.insert(CART.to_owned(), Script::Agreeable);
    let proposed = Content::Propose(haggle_negotiate::Proposed::All);
    let message = Box::new(question.reply(proposed, world.now));
    world.step(crate::Input::Message { caller: late, message });
    assert_eq!(world.answer(late), Ok(Answer::Done));
    assert_eq!(verdict(&world, caller).to, 5);
}
