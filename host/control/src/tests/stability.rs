//! A stable load causes no changes; and the precedence between needs.

use haggle_model::{Decision, Span};
use serde_json::json;

use crate::{
    Input, Risk,
    testing::{PASS, World, name},
};

/// A deterministic pseudo-random sequence between -1 and 1.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / f64::from(1_u32 << 30) - 1.0
    }
}

/// Pairs of decisions in which the second reverses the first within this time.
fn reversals(decisions: &[&Decision], within: Span) -> Vec<(Decision, Decision)> {
    let pairs = decisions.iter().zip(decisions.iter().skip(1));
    let reversed =
        pairs.filter(|(a, b)| (a.to > a.from) != (b.to > b.from) && b.at.since(a.at) <= within);
    reversed.map(|(a, b)| ((*a).clone(), (*b).clone())).collect()
}

#[test]
fn a_steady_load_with_noise_does_not_flap() {
    for (seed, machines) in [(1, 4), (2, 5), (3, 8)] {
        let mut world = World::new();
        world.thorough = false;
        world.policy_with(
            json!({"target_utilization": 0.9, "stabilization": "5m"}),
            json!({"lease": "6m", "renew_before": "90s", "tolerance": 0.1}),
        );
        world.provider("rack", &[("m", machines)], 1.0);
        for service in ["web", "checkout", "payment"] {
            world.service(service, "silver");
        }
        world.depend("web", "checkout", 0.8);
        world.depend("checkout", "payment", 0.7);
        let mut noise = Noise(seed);
        let warm = world.now + Span::from_mins(10);
        for _ in 0..(4 * 360) {
            // The load varies around 45 requests per second, which five replicas just carry.
            world.load("web", 45.0 * (1.0 + 0.03 * noise.next()));
            world.pass(PASS);
        }
        for service in ["web", "checkout", "payment"] {
            let later: Vec<_> =
                world.decisions(service).into_iter().filter(|d| d.at > warm).collect();
            let flaps = reversals(&later, Span::from_mins(5));
            assert!(flaps.is_empty(), "{machines}, {service}: {:?}", flaps.first());
            assert!(later.len() <= 4, "{machines}, {service}: {} decisions", later.len());
        }
    }
}

#[test]
fn a_risk_that_crosses_its_threshold_back_and_forth_is_acted_on_once() {
    let mut world = World::new();
    world.policy(json!({"lease": "10m", "renew_before": "2m"}));
    world.provider("rack", &[("m", 8)], 1.0);
    world.service("web", "silver");
    world.load("web", 80.0);
    world.pass(PASS);
    assert_eq!(world.replicas("web"), 8);
    for round in 0..360 {
        let probability = Some(if round % 2 == 0 { 0.52 } else { 0.48 });
        let explanation = "memory grows".to_owned();
        world.step(Input::Risks(vec![Risk { service: name("web"), probability, explanation }]));
        world.pass(PASS);
    }
    let decisions: Vec<_> = world.decisions("web").iter().map(|d| (d.from, d.to)).collect();
    assert_eq!(decisions, [(1, 8), (8, 10)]);
    let alarms = world.events.iter().filter(|event| event.kind == crate::EventKind::Risk);
    assert_eq!(alarms.count(), 1);
}

#[test]
fn a_request_without_an_end_yields_to_what_dependents_need() {
    let mut world = World::new();
    world.policy(json!({"alternatives": ["partial"], "lease": "4m", "renew_before": "1m"}));
    world.provider("rack", &[("m", 4)], 1.0);
    world.service("web", "silver");
    world.service("db", "silver");
    world.depend("web", "db", 1.0);
    // The full capacity, except for the minimum of the other service.
    world.pass(PASS);
    let verdict = world.ask(json!({"service": "db", "replicas": 50}));
    assert!(verdict.to >= 14, "{verdict:?}");
    world.pass(PASS);
    world.load("web", 70.0);
    world.pass(Span::from_mins(10));
    assert_eq!((world.replicas("web"), world.replicas("db")), (7, 7));
    world.load("web", 80.0);
    world.pass(Span::from_mins(10));
    assert_eq!((world.replicas("web"), world.replicas("db")), (8, 8));
}

#[test]
fn a_request_for_all_replicas_leaves_their_capacity_to_dependents() {
    let mut world = World::new();
    world.policy(json!({"alternatives": ["partial"], "lease": "4m", "renew_before": "1m"}));
    world.provider("rack", &[("m", 30)], 1.0);
    world.service("web", "silver");
    world.service("db", "silver");
    world.depend("web", "db", 1.0);
    assert_eq!(world.ask(json!({"service": "db", "replicas": 50})).to, 50);
    assert_eq!(world.ask(json!({"service": "web", "replicas": 20})).to, 20);
    world.load("web", 300.0);
    world.pass(PASS);
    assert_eq!((world.replicas("web"), world.replicas("db")), (30, 50));
}

#[test]
fn a_request_without_an_end_is_a_floor_while_nothing_else_is_known() {
    let mut world = World::new();
    world.policy(json!({"alternatives": ["partial"], "lease": "4m", "renew_before": "1m"}));
    world.provider("rack", &[("m", 4)], 1.0);
    world.service("web", "silver");
    let id = world.ask(json!({"service": "web", "replicas": 9})).negotiation;
    world.pass(Span::from_mins(30));
    assert_eq!(world.replicas("web"), 9);
    world.restart();
    world.pass(Span::from_mins(30));
    assert_eq!(world.replicas("web"), 9);
    assert!(world.progress(&id).is_some(), "it is not over");
    world.load("web", 30.0);
    world.pass(Span::from_mins(5));
    assert_eq!(world.replicas("web"), 3);
    assert!(world.progress(&id).is_none(), "it is over");
}

#[test]
fn what_is_cancelled_without_an_end_goes_back_to_what_was_there() {
    for known in [false, true] {
        let mut world = World::new();
        world.policy_with(
            json!({"min_confidence": 0.5}),
            json!({"lease": "4m", "renew_before": "1m"}),
        );
        world.provider("rack", &[("m", 4)], 1.0);
        world.service("web", "silver");
        if known {
            // The confidence is too low to scale in.
            world.load("web", 20.0);
            world.forecast("web", 20.0, 0.0);
        }
        world.pass(PASS);
        let before = world.replicas("web");
        let first = world.ask(json!({"service": "web", "replicas": 6})).negotiation;
        let second = world.ask(json!({"service": "web", "replicas": 9})).negotiation;
        world.pass(PASS);
        world.cancel(&second).unwrap();
        world.pass(PASS);
        assert_eq!(world.replicas("web"), before, "{known}");
        world.cancel(&first).unwrap();
        world.pass(PASS);
        assert_eq!(world.replicas("web"), before, "{known}");
    }
}

#[test]
fn services_that_call_each_other_get_what_they_carry_and_no_more() {
    let mut world = World::new();
    world.thorough = false;
    world.policy_with(
        json!({"target_utilization": 0.9, "stabilization": "1m"}),
        json!({"lease": "6m", "renew_before": "90s"}),
    );
    world.provider("rack", &[("m", 25)], 1.0);
    for service in ["a", "b"] {
        world.service_with(service, json!({"replicas": {"min": 0, "max": 60}}));
    }
    world.depend("a", "b", 2.0);
    world.depend("b", "a", 0.3);
    for (load, most) in [(90.0, (10, 20)), (45.0, (5, 10)), (90.0, (10, 20))] {
        // Both see all calls, also those that come back.
        for _ in 0..120 {
            world.load("a", load);
            world.load("b", 2.0 * load);
            world.pass(PASS);
            let leased = ["a", "b"].map(|service| world.leased_at(service, world.now));
            assert!(leased[0] <= 11 && leased[1] <= 21, "{load}: {leased:?}");
        }
        let leased = ["a", "b"].map(|service| world.leased_at(service, world.now));
        assert_eq!((leased[0], leased[1]), most, "{load}");
        assert_eq!((world.replicas("a"), world.replicas("b")), most, "{load}");
    }
}

#[test]
fn a_request_on_a_cycle_gives_as_many_replicas_as_were_asked_for() {
    let mut world = World::new();
    world.provider("rack", &[("m", 25)], 1.0);
    for service in ["a", "b"] {
        world.service_with(service, json!({"replicas": {"min": 0, "max": 60}}));
    }
    world.depend("a", "b", 2.0);
    world.depend("b", "a", 0.3);
    for replicas in [4, 2] {
        let request = json!({"service": "a", "replicas": replicas, "duration": "10m"});
        assert_eq!(world.ask(request).to, replicas);
        for _ in 0..18 {
            world.pass(PASS);
            assert!(world.replicas("a") <= 4, "{:?}", world.decisions("a").last());
            assert!(world.leased_at("b", world.now) <= 8);
        }
    }
}
