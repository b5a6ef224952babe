//! The effect of passes on each service.

use haggle_model::{ScalingReason, Span};
use serde_json::json;

use crate::{
    EventKind, Key, Record, Verdict,
    testing::{PASS, World, name},
};

/// The units of a provider that negotiations see.
fn left(world: &World, provider: &str) -> Vec<u32> {
    let provider = &world.state().providers[&name(provider)];
    provider.units.iter().map(|unit| unit.count).collect()
}

#[test]
fn what_is_announced_of_one_unit_stands_when_another_is_due() {
    let mut world = World::new();
    world.policy(json!({"alternatives": ["partial"], "lease": "10m", "renew_before": "1m"}));
    world.provider("p", &[("a", 2), ("b", 2)], 1.0);
    world.service("web", "silver");
    world.reclaim("p", "a", 1, Span::from_secs(10));
    world.reclaim("p", "b", 2, Span::from_mins(5));
    world.pass(Span::from_secs(30));
    let verdict = world.ask(json!({"service": "web", "replicas": 16}));
    assert_eq!((verdict.verdict, verdict.to), (Verdict::Reduced, 4));
    world.pass(Span::from_mins(6));
    assert_eq!(world.replicas("web"), 4);
    assert_eq!(left(&world, "p"), [1, 0]);
}

#[test]
fn what_was_lost_is_negotiated_for_at_once_and_after_a_crash() {
    let mut world = World::new();
    world.policy(json!({"alternatives": ["partial"], "lease": "10m", "renew_before": "1m"}));
    world.provider("spot", &[("m", 2)], 0.1);
    world.provider("firm", &[("m", 2)], 1.0);
    world.service("web", "silver");
    assert_eq!(world.ask(json!({"service": "web", "replicas": 8})).to, 8);
    assert_eq!(world.places("web"), [("spot/m".to_owned(), 8, 600)]);
    // No pass runs in between.
    world.reclaim("spot", "m", 2, Span::from_secs(5));
    let firm = world.places("web").into_iter().find(|(place, ..)| place == "firm/m");
    assert_eq!(firm, Some(("firm/m".to_owned(), 8, 600)));

    // A reclaim without a replacement, and a crash before the next attempt.
    world.reclaim("firm", "m", 2, Span::from_secs(60));
    world.restart();
    world.provider("new", &[("m", 2)], 2.0);
    world.pass(PASS);
    let new = world.places("web").into_iter().find(|(place, ..)| place == "new/m");
    assert_eq!(new.map(|(_, replicas, _)| replicas), Some(8));
    world.pass(Span::from_mins(2));
    assert_eq!(world.replicas("web"), 8);
}

#[test]
fn what_was_asked_for_goes_on_where_nothing_else_is_known() {
    let mut world = World::new();
    world.policy(json!({"alternatives": ["partial"], "lease": "60s", "renew_before": "20s"}));
    world.provider("rack", &[("m", 2)], 1.0);
    world.service("web", "silver");
    assert_eq!(world.ask(json!({"service": "web", "replicas": 5})).to, 5);
    world.pass(Span::from_mins(5));
    assert_eq!(world.replicas("web"), 5);
    // A request with a fixed end lasts until that end.
    assert_eq!(world.ask(json!({"service": "web", "replicas": 7, "duration": "3m"})).to, 7);
    world.pass(Span::from_secs(170));
    assert_eq!(world.replicas("web"), 7);
    world.pass(Span::from_secs(20));
    assert_eq!(world.replicas("web"), 1);
    world.pass(Span::from_mins(2));
    assert_eq!(world.places("web").iter().map(|(_, replicas, _)| replicas).sum::<u32>(), 1);
}

#[test]
fn replicas_whose_place_is_taken_back_go_when_there_is_no_other() {
    let mut world = World::new();
    world.policy(json!({"alternatives": ["partial"], "lease": "10m", "renew_before": "1m"}));
    world.provider("rack", &[("m", 2)], 1.0);
    world.service("web", "silver");
    assert_eq!(world.ask(json!({"service": "web", "replicas": 8})).to, 8);
    world.reclaim("rack", "m", 1, Span::from_secs(60));
    assert_eq!(world.replicas("web"), 8);
    // The other lease continues, and the lost one is kept until it ends.
    world.pass(Span::from_secs(50));
    assert_eq!(world.replicas("web"), 8);
    world.pass(Span::from_secs(20));
    assert_eq!(world.replicas("web"), 4);
    let last = world.disk.decisions.last().unwrap();
    assert_eq!((last.from, last.to), (8, 4));
}

#[test]
fn whoever_lends_keeps_what_it_has_until_the_notice_is_over_and_no_longer() {
    let mut world = World::new();
    let terms = json!({"alternatives": ["preempt", "partial"], "preemption_notice": "40s", "lease": "10m",
                       "renew_before": "1m"});
    world.policy(terms);
    world.provider("rack", &[("m", 1)], 1.0);
    world.service("low", "bronze");
    world.service("high", "gold");
    assert_eq!(world.ask(json!({"service": "low", "replicas": 4})).to, 4);
    assert_eq!(world.ask(json!({"service": "high", "replicas": 3})).to, 3);
    world.pass(Span::from_secs(30));
    assert_eq!(world.replicas("low"), 4);
    assert!(world.replicas("high") <= 1);
    world.pass(Span::from_secs(30));
    assert_eq!((world.replicas("low"), world.replicas("high")), (1, 3));
    world.pass(Span::from_mins(20));
    assert_eq!((world.replicas("low"), world.replicas("high")), (1, 3));
}

#[test]
fn what_a_service_has_in_any_case_takes_a_place_as_well() {
    let mut world = World::new();
    world.policy(json!({"alternatives": ["partial"], "lease": "60s", "renew_before": "20s"}));
    world.provider("rack", &[("m", 1)], 1.0);
    for service in ["a", "b", "c", "d"] {
        world.service(service, "silver");
    }
    world.load("a", 9.0);
    world.pass(PASS);
    for service in ["a", "b", "c", "d"] {
        assert_eq!(world.places(service).len(), 1, "{service}");
    }
    world.pass(Span::from_mins(3));
    let verdict = world.ask(json!({"service": "b", "replicas": 4}));
    assert_eq!((verdict.verdict, verdict.to), (Verdict::Reduced, 1));
}

#[test]
fn what_was_agreed_for_later_is_renewed_like_everything_else() {
    let mut world = World::new();
    let terms = json!({"alternatives": ["delayed"], "max_delay": "5m", "lease": "60s",
                       "renew_before": "20s"});
    world.policy(terms);
    world.provider("rack", &[("m", 1)], 1.0);
    world.service("y", "silver");
    world.service("x", "silver");
    assert_eq!(world.ask(json!({"service": "x", "replicas": 4, "duration": "50s"})).to, 4);
    let verdict = world.ask(json!({"service": "y", "replicas": 3}));
    assert_eq!((verdict.verdict, verdict.to), (Verdict::Approved, 3));
    assert!(verdict.window.start > world.now);
    world.pass(Span::from_mins(6));
    assert_eq!((world.replicas("x"), world.replicas("y")), (1, 3));
}

#[test]
fn what_was_asked_for_is_not_undone_by_a_forecast() {
    let mut world = World::new();
    world.policy(json!({"alternatives": ["partial"], "lease": "5m", "renew_before": "30s"}));
    world.provider("rack", &[("m", 4)], 1.0);
    world.service("web", "silver");
    world.load("web", 20.0);
    world.pass(PASS);
    assert_eq!(world.ask(json!({"service": "web", "replicas": 9, "duration": "2m"})).to, 9);
    world.pass(Span::from_secs(110));
    assert_eq!(world.replicas("web"), 9);
    world.pass(Span::from_secs(60));
    assert!(world.replicas("web") < 9);
}

#[test]
fn a_provider_that_has_less_than_it_promised_gives_notice() {
    let mut world = World::new();
    world.policy(json!({"alternatives": ["partial"], "lease": "10m", "renew_before": "1m"}));
    world.provider("rack", &[("m", 4)], 1.0);
    world.provider("dear", &[("m", 4)], 9.0);
    world.service("web", "silver");
    assert_eq!(world.ask(json!({"service": "web", "replicas": 15})).to, 15);
    world.events.clear();
    world.provider("rack", &[("m", 1)], 1.0);
    world.pass(Span::from_mins(1));
    assert_eq!(world.replicas("web"), 15);
    let on =
        |place: &str| world.places("web").iter().filter(|p| p.0 == place).map(|p| p.1).sum::<u32>();
    assert!(on("rack/m") <= 4 && on("dear/m") >= 11, "{:?}", world.places("web"));
    let told = world.events.iter().find(|e| e.kind == EventKind::Alert && e.subject == "rack");
    let told = &told.unwrap().message;
    assert!(told.starts_with("15 cpu_cores of provider rack, unit m are promised"), "{told}");
}

#[test]
fn an_error_budget_that_burns_is_negotiated_for() {
    let mut world = World::new();
    world.policy(json!({"alternatives": ["partial"], "burn_rate": 2.0}));
    world.service_with("web", json!({"objective": {"target": 0.9, "window": "60s"}}));
    world.load("web", 100.0);
    world.pass(PASS);
    let decision = world.disk.decisions.last().unwrap();
    assert_eq!(decision.reason, ScalingReason::Objective, "{decision:?}");
    let key = Key::Negotiation(decision.negotiation.clone().unwrap());
    let Some(Record::Negotiation(record)) = world.disk.records.get(&key) else { panic!() };
    assert_eq!(record.demand.purpose, haggle_negotiate::Purpose::FailureAvoidance);
}

#[test]
fn a_load_is_counted_by_what_the_service_serves() {
    let mut world = World::new();
    world.service_with("batch", json!({"replica": {"capacity": {"cpu_cores": 2}}}));
    world.load("batch", 9.0);
    world.pass(PASS);
    let decision = world.disk.decisions.last().unwrap();
    assert_eq!(decision.to, 5, "nine cores of two a replica: {decision:?}");
}
